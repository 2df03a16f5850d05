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
  storage: { exitCode: 11, meaning: 'a file could not be written (disk full, permissions)' },
  locked: { exitCode: 12, meaning: 'another process is using the run folder or the ledger' },
  ledger: { exitCode: 13, meaning: 'the privacy ledger is damaged or was changed' },
  batch: { exitCode: 14, meaning: 'some jobs of a batch failed; the others are done' },
  interrupted: { exitCode: 130, meaning: 'stopped by Ctrl-C after sealing the run; --resume goes on' },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface PretextErrorOptions {
  readonly code: ErrorCode
  /** What the user can do about it. */
  readonly hint?: string
  readonly cause?: unknown
}

export class PretextError extends Error {
  readonly code: ErrorCode
  readonly exitCode: number
  readonly hint: string | undefined

  constructor(message: string, options: PretextErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'PretextError'
    this.code = options.code
    this.exitCode = ERROR_CODES[options.code].exitCode
    this.hint = options.hint
  }
}
