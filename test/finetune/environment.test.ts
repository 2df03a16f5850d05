// The trainer's environment: made once, found again, remade when it was left half made; and each way it can fail.
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkTrainer } from '../../src/cli/check-trainer.ts'
import type { PretextEvent } from '../../src/events.ts'
import { findBasePython } from '../../src/finetune/base-python.ts'
import { trainerEnvironment, trainerPython } from '../../src/finetune/environment.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'
import { python } from '../trainer/python.ts'

/** No package at all: a real venv without the wait. */
const requirements = '# nothing\n'

async function cache(): Promise<{ PRETEXT_CACHE: string; PATH: string }> {
  return { PRETEXT_CACHE: await mkdtemp(join(tmpdir(), 'environment-')), PATH: process.env.PATH ?? '' }
}

async function script(lines: string, path?: string): Promise<string> {
  const file = path ?? join(await mkdtemp(join(tmpdir(), 'python-')), 'python')
  await writeFile(file, `#!/bin/sh\n${lines}\n`)
  await chmod(file, 0o755)
  return file
}

/** A PATH with these interpreters alone: they say their version and make no environment. */
async function pathOf(pythons: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'path-'))
  for (const [name, version] of Object.entries(pythons)) {
    const lines = `case "$*" in "-m venv"*) echo none; exit 1;; esac`
    // "3.12-" is one without what environments are made with; "" is a name that stands for no Python.
    const bare = version.endsWith('-') ? 'case "$*" in *ensurepip*) exit 1;; esac\n' : ''
    await script(
      `${bare}${version === '' ? 'exit 127' : lines}\necho ${version.replace('-', '')}`,
      join(folder, name),
    )
  }
  return folder
}

describe('the environment', () => {
  it('is made aside with its size said first, and then found', async () => {
    const env = await cache()
    const events: PretextEvent[] = []
    const options = { env, requirements, onEvent: (event: PretextEvent) => events.push(event) }
    const before = await trainerEnvironment(options)
    expect(before.state).toBe('absent')
    // Two that ask at once make it once.
    const [one, two] = await Promise.all([trainerPython(options), trainerPython(options)])
    expect(one).toBe(two)
    expect(one).toBe(before.python)
    const notes = events.flatMap((event) => (event.type === 'note' ? [event.message] : []))
    expect(notes.filter((note) => /making the Python environment .*\(about 1\.5 GB/.test(note))).toHaveLength(
      1,
    )
    expect(notes).toContain('another process is making the trainer environment; waiting for it')
    expect((await trainerEnvironment(options)).state).toBe('ready')
    expect(await readdir(dirname(before.folder as string))).toEqual([expect.stringMatching(/^[0-9a-f]{12}$/)])
    events.length = 0
    expect(await trainerPython(options)).toBe(one)
    expect(events).toEqual([])
  })

  it('that was left half made is made again', async () => {
    const env = await cache()
    const events: PretextEvent[] = []
    const options = { env, requirements, onEvent: (event: PretextEvent) => events.push(event) }
    const { folder } = await trainerEnvironment(options)
    // A process was killed in the middle, and somebody gave its folder the final name.
    await mkdir(join(folder as string, 'bin'), { recursive: true })
    await mkdir(`${folder}.part/bin`, { recursive: true })
    await writeFile(`${folder}.part/bin/torn`, '')
    expect((await trainerEnvironment(options)).state).toBe('damaged')
    await trainerPython(options)
    expect((await trainerEnvironment(options)).state).toBe('ready')
    expect(events).toContainEqual({ type: 'note', message: `${folder} was left half made; it is made again` })
    expect(await readdir(join(folder as string, 'bin'))).not.toContain('torn')
  })

  it('depends on what it holds', async () => {
    const env = await cache()
    const one = await trainerEnvironment({ env, requirements: 'a==1\n' })
    const commented = await trainerEnvironment({ env, requirements: '# why\na==1   # here\n' })
    const other = await trainerEnvironment({ env, requirements: 'a==2\n' })
    expect(commented.folder).toBe(one.folder)
    expect(other.folder).not.toBe(one.folder)
  })

  it('is not needed where PRETEXT_PYTHON names an interpreter', async () => {
    const python = await script('echo 3.12')
    const options = { env: { ...(await cache()), PRETEXT_PYTHON: python } }
    expect(await trainerPython(options)).toBe(python)
    expect((await trainerEnvironment(options)).state).toBe('given')
  })
})

const FEDERATED = 'federated arms need Python 3.11 or 3.12, where pfl runs'

describe('the Python that it is made with', () => {
  it.each([
    // The system's own where every package runs on it.
    [{ python3: '3.11', 'python3.12': '3.12' }, 'python3', true],
    [{ python3: '3.12' }, 'python3', true],
    // Another that has them all, where the system's own is newer, older or not there.
    [{ python3: '3.13', 'python3.12': '3.12', 'python3.11': '3.11' }, 'python3.12', true],
    [{ python3: '3.13', 'python3.11': '3.11' }, 'python3.11', true],
    [{ python3: '3.10', 'python3.12': '3.12' }, 'python3.12', true],
    [{ 'python3.11': '3.11' }, 'python3.11', true],
    // The system's own without pfl, where no other is whole.
    [{ python3: '3.13' }, 'python3', false],
    [{ python3: '3.14', 'python3.12': '', 'python3.11': '3.11-' }, 'python3', false],
  ])('of %j is %s', async (pythons, expected, takesAll) => {
    const env = { ...(await cache()), PATH: await pathOf(pythons) }
    expect(await findBasePython({ env })).toMatchObject({ python: expected, takesAll })
    const notes: string[] = []
    const onEvent = (event: PretextEvent) => event.type === 'note' && notes.push(event.message)
    await expect(trainerPython({ env, requirements, onEvent })).rejects.toThrow(
      `${expected} could not make a virtual environment`,
    )
    expect(notes.some((note) => note.includes(FEDERATED))).toBe(!takesAll)
  })

  it('leaves out what requirements.txt leaves out', async () => {
    const list = await readFile(join(TRAINER_FOLDER, 'requirements.txt'), 'utf8')
    const marked = list.split('\n').filter((line) => line.includes(';') && !line.startsWith('#'))
    expect(marked).toEqual([expect.stringMatching(/^pfl==[\d.]+; python_version < "3\.13"$/)])
    const of = async (version: string) =>
      (await findBasePython({ basePython: await script(`echo ${version}`) })).takesAll
    expect([await of('3.11'), await of('3.12'), await of('3.13')]).toEqual([true, true, false])
  })
})

describe('doctor', () => {
  /** Says its version, and what it has as the trainer does. */
  const checked = (pfl: string | null, torch: string | null = '2.13.0') =>
    `[ "$1" = -c ] && echo 3.13 && exit; echo '${JSON.stringify({
      event: 'done',
      result: {
        python: '3.13.1',
        packages: { torch, transformers: '5', peft: '0', accelerate: '1', pfl },
        device: 'cpu',
        gpus: 0,
      },
    })}'`
  const has = 'Python 3.13.1, PyTorch 2.13.0, no GPU; for train, finetune and evaluate'

  it('says of an interpreter without pfl what it cannot do, and what to do', async () => {
    const env = { ...(await cache()), PRETEXT_PYTHON: await script(checked(null)) }
    expect(await checkTrainer(env)).toEqual({
      name: 'trainer (Python)',
      state: 'note',
      detail: `${has}; it has no pfl, and ${FEDERATED}: let PRETEXT_PYTHON name a Python 3.11 or 3.12 with the packages of trainer/requirements.txt, or unset it`,
    })
    const whole = { ...env, PRETEXT_PYTHON: await script(checked('0.6.0')) }
    expect(await checkTrainer(whole)).toMatchObject({ state: 'ok', detail: has })
  })

  it('names the folder to remove where pretext made the environment', async () => {
    const env = await cache()
    const { folder, python } = await trainerEnvironment({ env })
    await mkdir(dirname(python), { recursive: true })
    await script(checked(null), python)
    await writeFile(join(folder as string, 'pretext.json'), '{}')
    expect(await checkTrainer(env)).toMatchObject({
      state: 'note',
      detail: `${has}; it has no pfl, and ${FEDERATED}: install one of them, remove ${folder}, and it is made again`,
    })
  })

  it('says before anything is made which Python there is', async () => {
    const of = async (pythons: Record<string, string>) =>
      (await checkTrainer({ ...(await cache()), PATH: await pathOf(pythons) })).detail
    expect(await of({ python3: '3.13' })).toMatch(
      new RegExp(
        `^made on first use in .*; there is Python 3\\.13, and ${FEDERATED}: install one of them before$`,
      ),
    )
    expect(await of({ python3: '3.13', 'python3.12': '3.12' })).toMatch(/evaluate$/)
  })

  it('says what to do where there is no Python', async () => {
    const env = { ...(await cache()), PATH: await pathOf({}) }
    const missing = {
      name: 'trainer (Python)',
      state: 'missing',
      detail:
        'expected Python 3.11 or newer for the trainer, and python3 is not there: install Python 3.11 or newer, or set PRETEXT_PYTHON to one that has the packages of trainer/requirements.txt; for train, finetune and evaluate',
    }
    expect(await checkTrainer(env)).toEqual(missing)
    // Half made, it is made again, which needs one too.
    await mkdir((await trainerEnvironment({ env })).folder as string, { recursive: true })
    expect(await checkTrainer(env)).toEqual(missing)
  })

  it('says of an interpreter that is too old what a training says', async () => {
    const old = await script('echo 3.8.1')
    const env = { ...(await cache()), PRETEXT_PYTHON: old }
    const { message, hint } = await trainerPython({ env }).catch((error) => error)
    expect(message).toBe(`expected Python 3.11 or newer for the trainer, got 3.8.1 (${old})`)
    expect(await checkTrainer(env)).toMatchObject({
      state: 'missing',
      detail: `${message}: ${hint}; for train, finetune and evaluate`,
    })
  })

  it('says of an interpreter without packages what to do', async () => {
    const bare = await script(checked(null, null))
    const env = { ...(await cache()), PRETEXT_PYTHON: bare }
    expect(await checkTrainer(env)).toMatchObject({
      state: 'missing',
      detail: `${bare} has no torch: install the packages of trainer/requirements.txt for it, or unset PRETEXT_PYTHON; for train, finetune and evaluate`,
    })
  })
})

describe('what can be missing', () => {
  const hint = /install Python 3\.11 or newer, or set PRETEXT_PYTHON/

  it('Python', async () => {
    const env = await cache()
    await expect(trainerPython({ env, requirements, basePython: 'no-such-python' })).rejects.toMatchObject({
      code: 'dependency',
      message: 'expected Python 3.11 or newer for the trainer, and no-such-python is not there',
      hint: expect.stringMatching(hint),
    })
    await expect(trainerPython({ env: { ...env, PRETEXT_PYTHON: '/no/python' } })).rejects.toMatchObject({
      message: 'expected Python 3.11 or newer for the trainer, and PRETEXT_PYTHON=/no/python is not there',
    })
  })

  it('a Python that is new enough', async () => {
    const old = await script('echo 3.10')
    await expect(trainerPython({ env: await cache(), requirements, basePython: old })).rejects.toMatchObject({
      code: 'dependency',
      message: `expected Python 3.11 or newer for the trainer, got 3.10 (${old})`,
      hint: expect.stringMatching(hint),
    })
    const none = await script('exit 1')
    await expect(trainerPython({ env: await cache(), requirements, basePython: none })).rejects.toThrow(
      `got a program that is no Python (${none})`,
    )
  })

  it('a Python that every package takes: the oldest one that is accepted', async () => {
    const check = `
import importlib.metadata as metadata, json, re, sys
from packaging.specifiers import SpecifierSet
names = re.findall(r"^([\\w-]+)==", open(sys.argv[1]).read(), re.M)
wanted = {name: metadata.metadata(name)["Requires-Python"] or "" for name in names}
print(json.dumps([f"{name} {wanted[name]}" for name in names if not SpecifierSet(wanted[name]).contains("3.11")]))
print(len(names))`
    const { stdout, stderr } = await python(['-c', check, join(TRAINER_FOLDER, 'requirements.txt')])
    expect(stderr).toBe('')
    const [refused, names] = stdout.trim().split('\n')
    expect(JSON.parse(refused as string)).toEqual([])
    expect(Number(names)).toBeGreaterThan(10)
  })

  it("Python's venv module", async () => {
    const bare = await script(
      'case "$*" in *venv*) echo "The virtual environment was not created: ensurepip is not available"; exit 1;; *) echo 3.11;; esac',
    )
    const env = await cache()
    await expect(trainerPython({ env, requirements, basePython: bare })).rejects.toMatchObject({
      code: 'dependency',
      hint: "install Python's venv module (Debian and Ubuntu: the package python3-venv), then run again",
    })
    // Nothing half made stays behind, but for nobody's lock.
    expect(await readdir(join(env.PRETEXT_CACHE, 'trainer'))).toEqual([])
  })

  it('the network: pip says so, and nothing half made is left', async () => {
    const env = {
      ...(await cache()),
      PIP_INDEX_URL: 'http://user:hunter2@127.0.0.1:9/simple',
      PIP_CONFIG_FILE: '/dev/null',
    }
    const options = { env, requirements: 'pretext-no-such-package==1.0\n' }
    const error = await trainerPython(options).catch((e: unknown) => e)
    expect(error).toMatchObject({
      code: 'dependency',
      message: expect.stringMatching(
        /^the trainer's packages could not be fetched from the Python package index: ERROR: /,
      ),
      hint: expect.stringMatching(/run again when the index can be reached .*PRETEXT_PYTHON/),
    })
    expect((error as Error).message).not.toContain('hunter2')
    expect(await readdir(join(env.PRETEXT_CACHE, 'trainer'))).toEqual([])
  })

  it('leave: offline, nothing is fetched', async () => {
    const env = { ...(await cache()), PRETEXT_OFFLINE: '1' }
    const { folder } = await trainerEnvironment({ env, requirements })
    await expect(trainerPython({ env, requirements })).rejects.toMatchObject({
      code: 'dependency',
      message: `the Python environment of the trainer is not in ${folder}, and PRETEXT_OFFLINE forbids to fetch it`,
    })
    await rm(env.PRETEXT_CACHE, { recursive: true })
  })
})
