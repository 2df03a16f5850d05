// The one error class of pretext, its codes and the exit code of each. A message says what was expected, what came
// and where; the hint says what to do. Private text never appears in either (design rule: parsers redact).

/** Every code with its exit code and one line of documentation; docs/exit-codes.md is generated from this table. */
export const ERROR_CODES = {
  unexpected: { exitCode: 1, meaning: 'an error that pretext did not foresee; please report it' },
  usage: { exitCode: 2, meaning: 'the command line is wrong' },
  config: { exitCode: 3, meaning: 'the config file is wrong' },
  data: { exitCode: 4, meaning: 'an input file is missing, empty, or has bad rows' },
  dependency: { exitCode: 5, meaning: 'a model, an optional package or a key is missing' },
  budget: { exitCode: 6, meaning: 'the release would overspend the privacy budget; nothing was released' },
  cost: { exitCode: 7, meaning: 'the plan costs more than the limit that was set; nothing was spent' },
  provider: { exitCode: 8, meaning: 'the language model failed after all retries; --resume goes on' },
  clients: { exitCode: 9, meaning: 'there are fewer clients than the minimum cohort' },
  audit: { exitCode: 10, meaning: 'an audit found less privacy than claimed, or saw too little to say' },
  storage: { exitCode: 11, meaning: 'a file could not be written (disk full, permissions)' },
  locked: { exitCode: 12, meaning: 'another process is using the run folder or the ledger' },
  ledger: { exitCode: 13, meaning: 'the privacy ledger is damaged or was changed' },
  batch: { exitCode: 14, meaning: 'some jobs of a batch failed; the others are done' },
  policy: { exitCode: 15, meaning: 'a round asks for more than your policy allows; nothing was sent' },
  federation: { exitCode: 16, meaning: 'the coordinator could not be reached, or refused this client' },
  interrupted: { exitCode: 130, meaning: 'stopped by Ctrl-C after sealing the run; --resume goes on' },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface PretextErrorOptions {
  readonly code: ErrorCode
  /** What the user can do about it. */
  readonly hint?: string
  /** More for --json: what a failed check measured. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

export class PretextError extends Error {
  readonly code: ErrorCode
  readonly exitCode: number
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(message: string, options: PretextErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PretextError'
    this.code = options.code
    this.exitCode = ERROR_CODES[options.code].exitCode
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}
