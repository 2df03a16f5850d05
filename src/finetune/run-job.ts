// Starts the trainer with one job, hands its events on, and answers with the checked result. The trainer's stderr is kept
// for the end of an error; where a job reads real texts it is reduced to kinds of errors and places in code.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { PretextError } from '../errors.ts'
import { offlineBy } from '../models/cache-folder.ts'
import { JOB_KINDS, type Job, type JobKind, type JobResult, jobFile, TrainerEvent } from './protocol.ts'

/** The folder of the Python package: beside src/ in the tree, beside dist/ when installed. */
export const TRAINER_FOLDER = fileURLToPath(new URL('../../trainer', import.meta.url))

const TAIL = 20_000
const SHOWN_LINES = 12

export interface RunJobOptions {
  /** The interpreter that has the trainer's packages; see environment.ts. */
  readonly python: string
  readonly onEvent?: (event: TrainerEvent) => void
  /** Asks the trainer to save and stop; it ends at its next safe place. */
  readonly signal?: AbortSignal | undefined
  /** Real texts are read: nothing that Python printed is shown, but for kinds of errors and places in code. */
  readonly realTexts?: boolean
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Runs one job to its end.
 * @throws PretextError with the code that the trainer gave; `unexpected` where it ended without a word
 */
export async function runJob<K extends JobKind>(job: Job<K>, options: RunJobOptions): Promise<JobResult<K>> {
  const folder = await mkdtemp(join(tmpdir(), 'pretext-job-'))
  try {
    const file = join(folder, 'job.json')
    await writeFile(file, jobFile(job), { mode: 0o600 })
    const result = await converse(file, options)
    return JOB_KINDS[job.kind as K].result.parse(result) as JobResult<K>
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Where a trainer that has imported its packages waits for the next job of this process (trainer/pretext_trainer/warm.py). */
let sockets: string | undefined
function socketFolder(): string {
  if (sockets !== undefined) return sockets
  const folder = mkdtempSync(join(tmpdir(), 'pretext-trainer-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  sockets = folder
  return folder
}

function converse(file: string, options: RunJobOptions): Promise<Record<string, unknown>> {
  const { python, onEvent = () => {}, signal } = options
  const env = options.env ?? process.env
  return new Promise((resolve, reject) => {
    const child = spawn(python, ['-m', 'pretext_trainer', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        PYTHONPATH: [TRAINER_FOLDER, env.PYTHONPATH ?? ''].filter((part) => part !== '').join(delimiter),
        PYTHONUNBUFFERED: '1',
        PYTHONDONTWRITEBYTECODE: '1',
        // Forking after the tokenizer used its threads would print a warning for every child.
        TOKENIZERS_PARALLELISM: 'false',
        HF_HUB_DISABLE_TELEMETRY: '1',
        // Its libraries know these two alone.
        ...(offlineBy(env) === undefined ? {} : { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1' }),
        PRETEXT_TRAINER_SOCKETS: socketFolder(),
      },
    })
    let last: TrainerEvent | undefined
    let broken: PretextError | undefined
    let stderr = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-TAIL)
    })
    const lines = createInterface({ input: child.stdout })
    const linesEnded = new Promise<void>((ended) => lines.on('close', ended))
    lines.on('line', (line) => {
      const event = eventOf(line)
      if (event === undefined) {
        broken ??= new PretextError('the trainer sent a line that is no event of the protocol', {
          code: 'unexpected',
        })
        return
      }
      if (event.event === 'done' || event.event === 'failed') last = event
      else onEvent(event)
    })
    const stop = () => child.kill('SIGTERM')
    if (signal?.aborted) stop()
    signal?.addEventListener('abort', stop, { once: true })
    // A parent that ends takes its trainer with it.
    const end = () => child.kill('SIGKILL')
    process.once('exit', end)
    const clean = () => {
      signal?.removeEventListener('abort', stop)
      process.off('exit', end)
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      clean()
      reject(notStarted(python, error))
    })
    child.on('close', async (code, killedBy) => {
      clean()
      await linesEnded
      if (last?.event === 'failed') {
        const { code: kind, message, hint } = last
        const tail = kind === 'unexpected' && options.realTexts !== true ? lastLines(stderr) : []
        const told = [message, ...tail].join('\n')
        reject(new PretextError(told, { code: kind, ...(hint === undefined ? {} : { hint }) }))
      } else if (broken !== undefined) reject(broken)
      else if (last?.event === 'done' && code === 0) resolve(last.result)
      else if (signal?.aborted === true) {
        const hint = '--resume goes on from its last checkpoint'
        reject(new PretextError('stopped before it was done', { code: 'interrupted', hint }))
      } else reject(endedEarly(code, killedBy, options.realTexts === true ? placesOf(stderr) : stderr))
    })
  })
}

function eventOf(line: string): TrainerEvent | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  return TrainerEvent.safeParse(value).data
}

function notStarted(python: string, error: NodeJS.ErrnoException): PretextError {
  return new PretextError(`could not start the trainer's Python ${python} (${error.code ?? error.name})`, {
    code: 'dependency',
    hint: 'set PRETEXT_PYTHON to a Python with the packages of trainer/requirements.txt, or unset it and pretext makes one',
    cause: error,
  })
}

function endedEarly(code: number | null, killedBy: NodeJS.Signals | null, stderr: string): PretextError {
  const how = killedBy === null ? `with exit code ${code}` : `by ${killedBy}`
  const memory =
    killedBy === 'SIGKILL' ? '; systems that run out of memory do this: use a smaller --micro-batch' : ''
  return new PretextError([`the trainer ended ${how} before it was done`, ...lastLines(stderr)].join('\n'), {
    code: 'unexpected',
    hint: `--resume goes on from its last checkpoint${memory}`,
  })
}

function lastLines(stderr: string): string[] {
  const lines = stderr.split('\n').map((line) => line.trimEnd())
  return lines
    .filter((line) => line !== '')
    .slice(-SHOWN_LINES)
    .map((line) => `  ${line}`)
}

/** Places in code and kinds of errors: what a Python traceback says without quoting a value. */
function placesOf(stderr: string): string {
  return stderr
    .split('\n')
    .map(
      (line) =>
        /^\s*File "[^"]*", line \d+, in [\w<>]+|^[A-Za-z_.]*(?:Error|Exception)(?=:|$)/.exec(line)?.[0],
    )
    .filter((line) => line !== undefined)
    .join('\n')
}
