// What every command is made of, and what it gets: its output and the interrupt signal.
import type { Argv, CommandModule } from 'yargs'
import { createOutput, type Output } from './output/output.ts'

export interface CommonArguments {
  readonly json: boolean
  readonly quiet: boolean
}

export function outputOf(args: CommonArguments): Output {
  const { json, quiet } = args
  return createOutput({ json, quiet, stdout: process.stdout, stderr: process.stderr })
}

/** A signal that the first Ctrl-C (or TERM) sets off; the second ends the process at once. */
export function interruptible<T>(output: Output, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      // By the signal and not by an exit, which would wait for threads in native code, and fail on them.
      process.off('SIGINT', stop)
      process.off('SIGTERM', stop)
      process.kill(process.pid, name)
      return
    }
    output.close()
    output.info('stopping after the calls in flight (again to stop at once) ...')
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return work(controller.signal).finally(() => {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  })
}

interface Command<A> {
  readonly command: string
  readonly describe: string
  readonly builder: (yargs: Argv<CommonArguments>) => Argv<A>
  readonly handler: (args: A) => void | Promise<void>
}

/** One verb of the command line; the types of its arguments follow from its builder. */
export function defineCommand<A>(command: Command<A>): CommandModule<CommonArguments, A> {
  return command as CommandModule<CommonArguments, A>
}

/** The option --set of every command that reads a config: once for each key that is overridden. */
export function overrides(describe: string) {
  return { type: 'string', array: true, requiresArg: true, nargs: 1, describe } as const
}
