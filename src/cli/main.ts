// The command line. One file for each command; this one knows their names, the common options and the way out.
import yargs, { type CommandModule } from 'yargs'
import { PretextError } from '../errors.ts'
import { VERSION } from '../version.ts'
import { accountCommand } from './commands/account.ts'
import { auditCommand } from './commands/audit.ts'
import { baselineCommand } from './commands/baseline.ts'
import { batchCommand } from './commands/batch.ts'
import { compareCommand } from './commands/compare.ts'
import { doctorCommand } from './commands/doctor.ts'
import { evaluateCommand } from './commands/evaluate.ts'
import { exportCommand } from './commands/export.ts'
import { finetuneCommand } from './commands/finetune.ts'
import { generateCommand } from './commands/generate.ts'
import { helperCommand } from './commands/helper.ts'
import { initCommand } from './commands/init.ts'
import { joinCommand } from './commands/join.ts'
import { ledgerCommand } from './commands/ledger.ts'
import { modelsCommand } from './commands/models.ts'
import { planCommand } from './commands/plan.ts'
import { reportCommand } from './commands/report.ts'
import { runsCommand } from './commands/runs.ts'
import { serveCommand } from './commands/serve.ts'
import { trainCommand } from './commands/train.ts'
import { renderError } from './output/output.ts'

export const COMMANDS = [
  generateCommand,
  trainCommand,
  finetuneCommand,
  planCommand,
  accountCommand,
  auditCommand,
  initCommand,
  modelsCommand,
  runsCommand,
  evaluateCommand,
  batchCommand,
  baselineCommand,
  compareCommand,
  reportCommand,
  exportCommand,
  ledgerCommand,
  serveCommand,
  helperCommand,
  joinCommand,
  doctorCommand,
]

export function cli(args: readonly string[]) {
  return yargs([...args])
    .scriptName('pretext')
    .usage(
      '$0 <command>\n\nDifferentially private synthetic text from private text that stays with its owners.',
    )
    .option('json', {
      type: 'boolean',
      default: false,
      describe: 'One JSON object on stdout',
      group: 'Output:',
    })
    .option('quiet', {
      type: 'boolean',
      default: false,
      alias: 'q',
      describe: 'Errors only',
      group: 'Output:',
    })
    .option('debug', {
      type: 'boolean',
      default: false,
      describe: 'Show where an error came from',
      group: 'Output:',
    })
    .version(VERSION)
    .help()
    .alias('help', 'h')
    .completion('completion', 'Print a script for tab completion in bash or zsh')
    .demandCommand(1, 'expected a command')
    .recommendCommands()
    .strict()
    .exitProcess(false)
    .showHelpOnFail(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .command(COMMANDS as CommandModule[])
    .epilogue(
      'Exit codes: docs/exit-codes.md. NO_COLOR is honoured; nothing is sent anywhere but to the LLM you name.',
    )
}

/** Runs one command line and returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const json = args.includes('--json')
  // Over a file size limit the system would end the process; caught, the write fails and says so.
  if (process.platform !== 'win32') process.on('SIGXFSZ', () => {})
  // A reader that went away (`| head`) is no failure: what was to be said is dropped, the work goes on.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
    })
  }
  try {
    await withoutUnusedHelp(cli(args))
      .fail((message, error) => {
        if (error !== undefined && error !== null) throw error
        throw new PretextError(message, {
          code: 'usage',
          hint: '"pretext --help" lists commands and options',
        })
      })
      .parseAsync()
    return 0
  } catch (error) {
    const known = asPretextError(error)
    process.stderr.write(`${renderError(known, false)}\n`)
    if (json) process.stdout.write(`${renderError(known, true)}\n`)
    if (args.includes('--debug')) process.stderr.write(`${stackOf(error)}\n`)
    return known.exitCode
  }
}

/**
 * After every command yargs renders its help, to have it at hand if the handler failed and help were shown then. It never
 * is here, and rendering takes as long as loading yargs (bench/start.ts).
 */
function withoutUnusedHelp<T>(parser: T): T {
  const { getInternalMethods } = parser as { getInternalMethods?: () => Internals }
  const usage = getInternalMethods?.call(parser).getUsageInstance?.()
  if (usage !== undefined) usage.cacheHelpMessage = () => {}
  return parser
}

interface Internals {
  getUsageInstance?: () => { cacheHelpMessage: () => void }
}

function asPretextError(error: unknown): PretextError {
  if (error instanceof PretextError) return error
  const name = error instanceof Error ? error.name : 'Error'
  if (name === 'YError') return new PretextError((error as Error).message, { code: 'usage' })
  // The message of an unforeseen error may quote anything, so only its kind is shown; --debug shows where it arose.
  return new PretextError(`an unforeseen error (${name}${systemCode(error)})`, {
    code: 'unexpected',
    hint: 'run again with --debug and report what it prints',
    cause: error,
  })
}

function systemCode(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  return typeof code === 'string' ? ` ${code}` : ''
}

/** Stack frames without messages: they name code, never data. */
function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  const frames = (error.stack ?? '').split('\n').filter((l) => /^\s+at /.test(l))
  const cause =
    error.cause === undefined
      ? ''
      : `\ncaused by ${error.cause instanceof Error ? error.cause.name : typeof error.cause}\n${stackOf(error.cause)}`
  return `${error.name}\n${frames.join('\n')}${cause}`
}
