// A virtual environment with a list of packages, by Python's own venv and pip (which know the user's mirrors, proxies and
// certificates). Nothing else is used, so that whatever pip can reach is enough.
import { spawn } from 'node:child_process'
import { mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { storageError, writeSynced } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { Environment } from '../models/cache-folder.ts'

const TAIL = 20_000

export interface InstallOptions {
  readonly base: string
  readonly folder: string
  readonly requirements: string
  readonly env: Environment
  readonly signal?: AbortSignal | undefined
}

/** Where an environment keeps its Python. */
export function interpreterIn(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python')
}

/** Makes the environment in `folder`, which must not exist. */
export async function installPackages(options: InstallOptions): Promise<void> {
  const { base, folder, requirements, env, signal } = options
  await mkdir(dirname(folder), { recursive: true })
  const venv = await run(base, ['-m', 'venv', folder], env, signal)
  if (!venv.ok) {
    const missing = /ensurepip|No module named venv/.test(venv.stderr)
    throw failure(`${base} could not make a virtual environment`, venv.stderr, folder, {
      hint: missing
        ? "install Python's venv module (Debian and Ubuntu: the package python3-venv), then run again"
        : 'the lines above are what Python said; or set PRETEXT_PYTHON to a Python that has the packages of trainer/requirements.txt',
    })
  }
  const list = join(folder, 'requirements.txt')
  await writeSynced(list, requirements)
  const flags = [
    '--disable-pip-version-check',
    '--no-input',
    '--quiet',
    '--progress-bar',
    'off',
    '--retries',
    '2',
  ]
  const pip = await run(interpreterIn(folder), ['-m', 'pip', 'install', ...flags, '-r', list], env, signal)
  if (pip.ok) return
  const unreachable =
    /NewConnectionError|ConnectTimeout|Temporary failure in name resolution|Max retries|No matching distribution/.test(
      pip.stderr,
    )
  throw failure(
    unreachable
      ? "the trainer's packages could not be fetched from the Python package index"
      : "the trainer's packages could not be installed",
    pip.stderr,
    folder,
    {
      hint: 'run again when the index can be reached (pip.conf and PIP_INDEX_URL are honoured), or set PRETEXT_PYTHON to a Python that has the packages of trainer/requirements.txt',
    },
  )
}

function failure(message: string, stderr: string, folder: string, options: { hint: string }): unknown {
  if (/No space left on device|Disk quota exceeded|File too large/.test(stderr)) {
    return storageError(Object.assign(new Error('disk full'), { code: 'ENOSPC' }), folder)
  }
  const lines = stderr
    .split('\n')
    .map((line) => line.trim().replace(/:\/\/[^/@\s]*@/g, '://'))
    .filter((line) => line !== '')
  const line = lines.findLast((text) => /^(ERROR|Error)/.test(text)) ?? lines.at(-1)
  return new PretextError(line === undefined ? message : `${message}: ${line.slice(0, 300)}`, {
    code: 'dependency',
    hint: options.hint,
  })
}

interface Ended {
  readonly ok: boolean
  readonly stderr: string
}

function run(
  program: string,
  args: readonly string[],
  env: Environment,
  signal: AbortSignal | undefined,
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // An activated environment of the user's is not this one.
      env: { ...env, VIRTUAL_ENV: undefined, PYTHONHOME: undefined, PYTHONPATH: undefined },
      ...(signal === undefined ? {} : { signal }),
    })
    // venv says on stdout what is missing, pip on stderr.
    let said = ''
    const keep = (text: string) => {
      said = (said + text).slice(-TAIL)
    }
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.on('error', (error) => {
      if (signal?.aborted === true) reject(signal.reason)
      else reject(error)
    })
    child.on('close', (code) => resolve({ ok: code === 0, stderr: said }))
  })
}

/** Bytes of all files below a folder, links not followed. */
export async function bytesBelow(folder: string): Promise<number> {
  let sum = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) sum += await bytesBelow(path)
    else if (entry.isFile()) sum += (await stat(path)).size
  }
  return sum
}
