// The Python that runs the trainer: the one that PRETEXT_PYTHON names, or an environment that is made on first use in the
// user's cache folder. It is named by what it holds, made aside and renamed, by one process at a time: a folder with this
// name and its marker is whole.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { readIfThere, writeSynced } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { cacheFolder, type Environment, offlineBy } from '../models/cache-folder.ts'
import { withFolderLock } from '../models/folder-lock.ts'
import { bytesBelow, installPackages, interpreterIn } from './install-packages.ts'
import { TRAINER_FOLDER } from './run-job.ts'

/** What the packages take on the disk with PyTorch for the CPU; with the CUDA libraries that pip brings on some systems, more. */
const ENVIRONMENT_BYTES = 1.5e9
/** For people. */
export const ENVIRONMENT_TEXT = 'about 1.5 GB on disk, up to 7 GB where pip chooses PyTorch for CUDA; once'

const OLDEST = [3, 11] as const
const MARKER = 'pretext.json'

export interface EnvironmentOptions {
  /** PRETEXT_PYTHON, PRETEXT_CACHE, PRETEXT_OFFLINE, PATH and what pip reads. */
  readonly env?: Environment
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal | undefined
  /** The Python to make the environment with; `python3`, or `python` on Windows. */
  readonly basePython?: string
  /** Another list of packages; tests use an empty one. */
  readonly requirements?: string
}

export interface EnvironmentState {
  readonly state: 'given' | 'ready' | 'absent' | 'damaged'
  /** The interpreter; where the environment is absent, the one that there will be. */
  readonly python: string
  readonly folder: string | undefined
}

/** Where the environment is and whether it is whole. Makes nothing. */
export async function trainerEnvironment(options: EnvironmentOptions = {}): Promise<EnvironmentState> {
  const env = options.env ?? process.env
  if (env.PRETEXT_PYTHON) return { state: 'given', python: env.PRETEXT_PYTHON, folder: undefined }
  const folder = await environmentFolder(options)
  const python = interpreterIn(folder)
  const exists = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  if (!(await exists(folder))) return { state: 'absent', python, folder }
  const whole = (await readIfThere(join(folder, MARKER))) !== undefined && (await exists(python))
  return { state: whole ? 'ready' : 'damaged', python, folder }
}

/**
 * The interpreter to run the trainer with; the environment is made if it is not there.
 * @throws PretextError `dependency` (no Python, too old, no network), `storage` (disk full)
 */
export async function trainerPython(options: EnvironmentOptions = {}): Promise<string> {
  const found = await trainerEnvironment(options)
  if (found.state === 'given') {
    await checkVersion(found.python, 'PRETEXT_PYTHON', options)
    return found.python
  }
  if (found.state === 'ready' || found.folder === undefined) return found.python
  const { folder } = found
  const onEvent = options.onEvent ?? ignoreEvents
  const offline = offlineBy(options.env ?? process.env)
  if (offline !== undefined) {
    throw new PretextError(
      `the Python environment of the trainer is not in ${folder}, and ${offline} forbids to fetch it`,
      {
        code: 'dependency',
        hint: 'unset it for the first use, or set PRETEXT_PYTHON to a Python that has the packages of trainer/requirements.txt',
      },
    )
  }
  const base = basePython(options)
  await checkVersion(base, base, options)
  const onWait = () =>
    onEvent({ type: 'note', message: 'another process is making the trainer environment; waiting for it' })
  await withFolderLock(folder, { signal: options.signal, onWait }, async (signal) => {
    const meanwhile = await trainerEnvironment(options)
    if (meanwhile.state === 'ready') return
    if (meanwhile.state === 'damaged') {
      onEvent({ type: 'note', message: `${folder} was left half made; it is made again` })
      await rm(folder, { recursive: true, force: true })
    }
    await make(folder, base, { ...options, onEvent, signal })
  })
  return found.python
}

async function make(
  folder: string,
  base: string,
  options: EnvironmentOptions & { readonly onEvent: OnEvent },
): Promise<void> {
  const { onEvent, signal } = options
  const aside = `${folder}.part`
  const requirements = await requirementsOf(options)
  // What a process that was killed left behind is not trusted, whatever it holds.
  await rm(aside, { recursive: true, force: true })
  onEvent({
    type: 'note',
    message: `making the Python environment of the trainer (${ENVIRONMENT_TEXT}) in ${folder}`,
  })
  const label = 'installing PyTorch and what the trainer needs'
  onEvent({ type: 'stage', stage: 'download', label, unit: 'bytes', total: ENVIRONMENT_BYTES })
  const progress = setInterval(async () => {
    const done = await bytesBelow(aside).catch(() => 0)
    const shown = Math.min(done, ENVIRONMENT_BYTES)
    onEvent({ type: 'progress', stage: 'download', done: shown, total: ENVIRONMENT_BYTES })
  }, 2000)
  try {
    await installPackages({ base, folder: aside, requirements, env: options.env ?? process.env, signal })
    await writeSynced(
      join(aside, MARKER),
      `${JSON.stringify({ format: 'pretext-trainer-environment', version: 1, requirements }, null, 2)}\n`,
    )
    signal?.throwIfAborted()
    await rename(aside, folder)
  } catch (error) {
    await rm(aside, { recursive: true, force: true }).catch(() => {})
    throw error
  } finally {
    clearInterval(progress)
  }
  onEvent({ type: 'stage-end', stage: 'download', label })
}

function basePython(options: EnvironmentOptions): string {
  return options.basePython ?? (process.platform === 'win32' ? 'python' : 'python3')
}

async function requirementsOf(options: EnvironmentOptions): Promise<string> {
  return options.requirements ?? (await readFile(join(TRAINER_FOLDER, 'requirements.txt'), 'utf8'))
}

async function environmentFolder(options: EnvironmentOptions): Promise<string> {
  const packages = (await requirementsOf(options))
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
  const name = createHash('sha256').update(packages.join('\n')).digest('hex').slice(0, 12)
  return join(cacheFolder(options.env ?? process.env, process.platform, homedir()), 'trainer', name)
}

async function checkVersion(python: string, called: string, options: EnvironmentOptions): Promise<void> {
  const env = options.env ?? process.env
  const needed = OLDEST.join('.')
  const hint = `install Python ${needed} or newer, or set PRETEXT_PYTHON to one that has the packages of trainer/requirements.txt`
  const said = await new Promise<string | NodeJS.ErrnoException>((resolve) => {
    const child = spawn(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...env },
    })
    let out = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.on('error', resolve)
    child.on('close', () => resolve(out.trim()))
  })
  if (typeof said !== 'string') {
    const why = said.code === 'ENOENT' ? 'is not there' : `could not be started (${said.code ?? said.name})`
    throw new PretextError(
      `expected Python ${needed} or newer for the trainer, and ${called === python ? python : `${called}=${python}`} ${why}`,
      { code: 'dependency', hint, cause: said },
    )
  }
  const [major = 0, minor = 0] = said.split('.').map(Number)
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return
  throw new PretextError(
    `expected Python ${needed} or newer for the trainer, got ${said === '' ? 'a program that is no Python' : said} (${python})`,
    { code: 'dependency', hint },
  )
}
