// One step as a process: its words go to the log of the job, its last line on stdout is the result.
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { finished } from 'node:stream/promises'
import { storageError } from '../durable.ts'

export interface StepProcess {
  readonly exitCode: number
  /** The object that the command prints with --json; an error is one too. */
  readonly result: Record<string, unknown>
}

export type StartStep = (
  args: readonly string[],
  options: { readonly log: string; readonly signal?: AbortSignal },
) => Promise<StepProcess>

/** Starts this very command line again: the same Node, the same flags of it, the same program. */
export function startItself(program: string, flags: readonly string[] = process.execArgv): StartStep {
  return async (args, { log, signal }) => {
    await mkdir(dirname(log), { recursive: true }).catch((error: unknown) => {
      throw storageError(error, log)
    })
    const file = createWriteStream(log, { flags: 'a', mode: 0o600 })
    file.write(`$ pretext ${args.join(' ')}\n`)
    // Of its own group: Ctrl-C at the terminal reaches this process alone, which then asks its steps once.
    const child = spawn(process.execPath, [...flags, program, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
      env: { ...process.env, NO_COLOR: '1' },
    })
    const stop = () => child.kill('SIGTERM')
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop, { once: true })
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.stderr.pipe(file, { end: false })
    const exitCode = await new Promise<number>((resolve) => {
      child.on('error', () => resolve(1))
      child.on('close', (code, killed) => resolve(code ?? (killed === 'SIGTERM' ? 130 : 1)))
    })
    signal?.removeEventListener('abort', stop)
    process.off('exit', end)
    file.end()
    await finished(file).catch((error: unknown) => {
      throw storageError(error, log)
    })
    return { exitCode, result: resultIn(stdout) }
  }
}

function resultIn(stdout: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
