// The Python that the trainer's environment is made with. Every package but one runs on Python 3.11 and newer; pfl, on which
// the federated arms of a comparison run, stops at 3.12. So a Python that takes them all is preferred to a newer one.
import { spawn } from 'node:child_process'
import { PretextError } from '../errors.ts'
import type { Environment } from '../models/cache-folder.ts'

type Version = readonly [major: number, minor: number]

const OLDEST: Version = [3, 11]
/** The newest with every package of trainer/requirements.txt; its markers say the same. */
const NEWEST_WITH_ALL: Version = [3, 12]
/** What those are called where the system's own Python is another. */
const OTHERS = ['python3.12', 'python3.11']

/** For people: what a Python without pfl cannot do. */
export const FEDERATED_NEEDS = 'federated arms need Python 3.11 or 3.12, where pfl runs'
/** What whoever names an interpreter can do about it. */
export const NAME_ANOTHER =
  'let PRETEXT_PYTHON name a Python 3.11 or 3.12 with the packages of trainer/requirements.txt, or unset it'

interface BaseOptions {
  readonly env?: Environment
  /** This one, whatever it takes. */
  readonly basePython?: string
}

export interface BasePython {
  readonly python: string
  /** "3.12" */
  readonly version: string
  /** Whether every package of the trainer runs on it. */
  readonly takesAll: boolean
}

/**
 * The system's own Python where it takes every package, else another on the PATH that does, else the system's own.
 * @throws PretextError `dependency` where there is none, or one that is too old
 */
export async function findBasePython(options: BaseOptions = {}): Promise<BasePython> {
  const { basePython, env = process.env } = options
  const own = basePython ?? (process.platform === 'win32' ? 'python' : 'python3')
  const version = await ask(own, env)
  if (basePython === undefined && !takesAll(version)) {
    for (const other of OTHERS) {
      // Debian splits what an environment is made with from Python: one without it is of no use here.
      const found = await ask(other, env, 'import ensurepip')
      if (takesAll(found)) return checked(other, found)
    }
  }
  return checked(own, version)
}

/**
 * The interpreter with its version. `called` is what the user knows it by.
 * @throws PretextError `dependency` where it is not there, no Python, or too old
 */
export async function checkPython(python: string, called: string, env: Environment): Promise<BasePython> {
  return checked(python, await ask(python, env), called)
}

function checked(python: string, version: Answer, called = python): BasePython {
  const needed = OLDEST.join('.')
  const hint = `install Python ${needed} or newer, or set PRETEXT_PYTHON to one that has the packages of trainer/requirements.txt`
  if (typeof version !== 'string') {
    const why =
      version.code === 'ENOENT' ? 'is not there' : `could not be started (${version.code ?? version.name})`
    throw new PretextError(
      `expected Python ${needed} or newer for the trainer, and ${called === python ? python : `${called}=${python}`} ${why}`,
      { code: 'dependency', hint, cause: version },
    )
  }
  if (!isFrom(OLDEST, version)) {
    throw new PretextError(
      `expected Python ${needed} or newer for the trainer, got ${version === '' ? 'a program that is no Python' : version} (${python})`,
      { code: 'dependency', hint },
    )
  }
  return { python, version, takesAll: takesAll(version) }
}

/** Its version, "" where it is no Python (or lacks what was imported), or why it could not be started. */
type Answer = string | NodeJS.ErrnoException

function ask(python: string, env: Environment, first = 'pass'): Promise<Answer> {
  return new Promise((resolve) => {
    const child = spawn(python, ['-c', `${first}; import sys; print("%d.%d" % sys.version_info[:2])`], {
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
}

function isFrom(oldest: Version, version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1])
}

function takesAll(version: Answer): boolean {
  const [major, minor] = NEWEST_WITH_ALL
  return typeof version === 'string' && isFrom(OLDEST, version) && !isFrom([major, minor + 1], version)
}
