// The Python that runs the trainer: the one that PRETEXT_PYTHON names, or an environment that is made on first use in the
// user's cache folder. It is named by what it holds, made aside and renamed, by one process at a time: a folder with this
// name and its marker is whole.
import { createHash } from 'node:crypto'
import { access, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { readIfThere, writeSynced } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { cacheFolder, type Environment, offlineBy } from '../models/cache-folder.ts'
import { withFolderLock } from '../models/folder-lock.ts'
import { type BasePython, checkPython, FEDERATED_NEEDS, findBasePython } from './base-python.ts'
import { bytesBelow, installPackages, interpreterIn } from './install-packages.ts'
import { TRAINER_FOLDER } from './run-job.ts'

/** What the packages take on the disk with PyTorch for the CPU; with the CUDA libraries that pip brings on some systems, more. */
const ENVIRONMENT_BYTES = 1.5e9
/** For people. */
export const ENVIRONMENT_TEXT = 'about 1.5 GB on disk, up to 7 GB where pip chooses PyTorch for CUDA; once'

const MARKER = 'pretext.json'

export interface EnvironmentOptions {
  /** PRETEXT_PYTHON, PRETEXT_CACHE, PRETEXT_OFFLINE, PATH and what pip reads. */
  readonly env?: Environment
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal | undefined
  /** The Python to make the environment with, where it is not for pretext to find one. */
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
    await checkPython(found.python, 'PRETEXT_PYTHON', options.env ?? process.env)
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
  const base = await findBasePython(options)
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
  base: BasePython,
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
  if (!base.takesAll) {
    onEvent({
      type: 'note',
      message: `it is made with Python ${base.version}: ${FEDERATED_NEEDS}; for them stop this, install Python 3.12 and run again`,
    })
  }
  const label = 'installing PyTorch and what the trainer needs'
  onEvent({ type: 'stage', stage: 'download', label, unit: 'bytes', total: ENVIRONMENT_BYTES })
  const progress = setInterval(async () => {
    const done = await bytesBelow(aside).catch(() => 0)
    const shown = Math.min(done, ENVIRONMENT_BYTES)
    onEvent({ type: 'progress', stage: 'download', done: shown, total: ENVIRONMENT_BYTES })
  }, 2000)
  try {
    await installPackages({
      base: base.python,
      folder: aside,
      requirements,
      env: options.env ?? process.env,
      signal,
    })
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
