// The trainer that imports once and forks for each job: whoever starts a job must not see that it is there, and nothing of
// it may outlive its owner. Which process did what is read from /proc; no test looks at a clock.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type Job, type JobKind, jobFile, type TrainerEvent } from '../../src/finetune/protocol.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'
import { python, testPython } from '../trainer/python.ts'
import { type ArmGround, armGround } from './arm-ground.ts'

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly events: TrainerEvent[]
}

interface Started {
  readonly client: ChildProcess
  /** The job has begun, and hears signals. */
  readonly began: Promise<void>
  readonly ended: Promise<Ended>
}

let interpreter: string
let ground: ArmGround
let scratch: string
/** Shared by all tests that need no folder of their own, so that imports are paid once. */
let sockets: string
const folders: string[] = []
const spawned: ChildProcess[] = []

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'warm-trainer-'))
  folders.push(folder)
  return folder
}

const environment = (folder: string | undefined, more: Record<string, string> = {}) => ({
  ...process.env,
  PYTHONPATH: TRAINER_FOLDER,
  PYTHONUNBUFFERED: '1',
  PYTHONDONTWRITEBYTECODE: '1',
  TOKENIZERS_PARALLELISM: 'false',
  OMP_NUM_THREADS: '1',
  PRETEXT_TRAINER_SOCKETS: folder,
  ...more,
})

function start(file: string, folder: string | undefined, more: Record<string, string> = {}): Started {
  const client = spawn(interpreter, ['-m', 'pretext_trainer', file], {
    env: environment(folder, more),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  spawned.push(client)
  const events: TrainerEvent[] = []
  const ended = new Promise<Ended>((resolve) =>
    client.on('close', (code, signal) => resolve({ code, signal, events })),
  )
  const began = new Promise<void>((resolve, reject) => {
    createInterface({ input: client.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as TrainerEvent
      events.push(event)
      if (event.event === 'started') resolve()
    })
    client.on('close', () => reject(new Error(`ended before it began: ${JSON.stringify(events)}`)))
  })
  began.catch(() => {})
  return { client, began, ended }
}

let written = 0
async function fileOf<K extends JobKind>(job: Job<K>): Promise<string> {
  const path = join(scratch, `job-${written++}.json`)
  await writeFile(path, jobFile(job))
  return path
}

/** A job that ends only when it is made to. */
const endless = () =>
  fileOf<'federated'>({
    kind: 'federated',
    ...ground.inputs,
    out: join(scratch, `out-${written}`),
    delta: 1e-5,
    rounds: 100_000,
    clip: { kind: 'fixed', bound: 0.2 },
    client: { learningRate: 0.5, batch: 2 },
    noiseMultiplier: 1,
  })

/** Nothing is imported for a job file that is not there, and the answer names it. */
const absent = (name: string): string => join(scratch, name)
const refusal = (name: string) => ({
  code: 1,
  signal: null,
  events: [
    expect.objectContaining({
      event: 'failed',
      code: 'usage',
      message: expect.stringContaining(absent(name)),
    }),
  ],
})

/** Parent of a process, zombies and the ended have none. */
function parentOf(pid: number): number | undefined {
  try {
    const [, state, parent] =
      /\) (\w) (\d+) /.exec(readFileSync(`/proc/${pid}/stat`, 'utf8').replaceAll('\n', ' ')) ?? []
    return state === 'Z' ? undefined : Number(parent)
  } catch {
    return undefined
  }
}

const processes = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger)

const childrenOf = (pid: number): number[] => processes().filter((other) => parentOf(other) === pid)

/** The warm processes of a folder; a child keeps the command line that it was forked with. */
function warmOf(folder: string): number[] {
  const all = processes().filter((pid) => {
    try {
      const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
      return args.includes('pretext_trainer.warm') && args.some((arg) => arg.startsWith(`${folder}/`))
    } catch {
      return false
    }
  })
  return all.filter((pid) => !all.includes(parentOf(pid) ?? 0) && parentOf(pid) !== undefined)
}

function only<T>(values: readonly T[]): T {
  expect(values).toHaveLength(1)
  return values[0] as T
}

const gone = (pids: () => number[]) => vi.waitUntil(() => pids().length === 0, { timeout: 10_000 })

/** Where torch lies in the memory of a process: the same in another one only if that was forked from it. */
const torchAt = (pid: number): string | undefined =>
  /^(\w+)-.*libtorch_cpu\.so/m.exec(readFileSync(`/proc/${pid}/maps`, 'utf8'))?.[1]

beforeAll(async () => {
  if (process.platform !== 'linux') return
  interpreter = await testPython()
  ground = await armGround(4)
  folders.push(dirname(ground.inputs.start))
  scratch = await newFolder()
  sockets = await newFolder()
})

afterAll(async () => {
  // What a failed test has left running.
  for (const child of spawned) child.kill('SIGKILL')
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
  for (const folder of folders) await gone(() => warmOf(folder))
})

describe.skipIf(process.platform !== 'linux')('a warm trainer', () => {
  it('runs the jobs of one process as its children, with what it has imported', async () => {
    const [first, second] = [start(await endless(), sockets), start(await endless(), sockets)]
    await Promise.all([first.began, second.began])
    const warm = only(warmOf(sockets))
    const children = childrenOf(warm)
    expect(children).toHaveLength(2)
    const place = torchAt(warm)
    expect(place).toBeDefined()
    expect(children.map(torchAt)).toEqual([place, place])
    for (const { client } of [first, second]) {
      expect(torchAt(client.pid ?? 0)).toBeUndefined()
      client.kill('SIGKILL')
    }
    await Promise.all([first.ended, second.ended])
    await gone(() => childrenOf(warm))
    expect(warmOf(sockets)).toEqual([warm])
  })

  it('is one for each environment', async () => {
    const folder = await newFolder()
    for (const value of ['a', 'b', 'a']) {
      expect(await start(absent(value), folder, { EXTRA: value }).ended).toEqual(refusal(value))
    }
    expect(warmOf(folder)).toHaveLength(2)
  })

  it('is one for clients that start at once, and serves them all', async () => {
    const folder = await newFolder()
    const names = ['first', 'second', 'third']
    const ended = await Promise.all(names.map((name) => start(absent(name), folder).ended))
    expect(ended).toEqual(names.map(refusal))
    only(warmOf(folder))
  })

  it('gives a job the end that it has without', async () => {
    const text = join(scratch, 'texts.jsonl')
    await writeFile(
      text,
      `${JSON.stringify({ client: 0, text: 'The kernel of this package is too old.' })}\n`,
    )
    const job = (texts: string) =>
      fileOf<'evaluate-model'>({
        kind: 'evaluate-model',
        model: ground.inputs.start,
        texts,
        sequenceTokens: 32,
        device: 'cpu',
        threads: 1,
      })
    const [good, bad] = [await job(text), await job(absent('no-texts.jsonl'))]
    const last = async (file: string, folder?: string) => {
      const { events, ...end } = await start(file, folder).ended
      return { ...end, event: events.at(-1) }
    }
    const done = await last(good)
    expect(done).toMatchObject({ code: 0, event: { event: 'done' } })
    expect(await last(good, sockets)).toEqual(done)
    const failed = await last(bad)
    expect(failed).toMatchObject({ code: 1, event: { event: 'failed', code: 'unexpected' } })
    expect(await last(bad, sockets)).toEqual(failed)
  })

  it('is not needed: a job is run where its folder is none', async () => {
    const folder = join(scratch, 'nowhere')
    expect(await start(absent('alone'), folder).ended).toEqual(refusal('alone'))
    expect(existsSync(folder)).toBe(false)
  })

  it('outlives a client that was killed before its job was taken', async () => {
    const { code, stderr } = await python(['-c', IMPATIENT, absent('impatient')])
    expect(code, stderr).toBe(0)
  })

  it('draws other random numbers in every child', async () => {
    const { code, stdout, stderr } = await python(['-c', DRAWS])
    expect(code, stderr).toBe(0)
    const drawn = stdout.trim().split('\n')
    expect(drawn).toHaveLength(2)
    expect(new Set(drawn).size).toBe(2)
  })
})

describe.skipIf(process.platform !== 'linux')('the client of a warm trainer', () => {
  async function running(): Promise<Started & { warm: number; child: number }> {
    const started = start(await endless(), sockets)
    await started.began
    const warm = only(warmOf(sockets))
    return { ...started, warm, child: only(childrenOf(warm)) }
  }

  it('takes its child with it when it is killed', async () => {
    const { client, ended, warm, child } = await running()
    client.kill('SIGKILL')
    expect(await ended).toMatchObject({ signal: 'SIGKILL' })
    await gone(() => childrenOf(warm))
    await vi.waitUntil(() => !existsSync(`/proc/${child}`), { timeout: 10_000 })
  })

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'hands on %s, and the job stops at its safe place',
    async (signal) => {
      const { client, ended } = await running()
      client.kill(signal)
      const { events, ...end } = await ended
      expect(end).toEqual({ code: 130, signal: null })
      expect(events.at(-1)).toMatchObject({ event: 'failed', code: 'interrupted' })
    },
  )

  it('is heard as soon as it has asked', async () => {
    const job = await endless()
    const { warm, client } = await running()
    const { code, stderr } = await python(['-c', HASTY, job, sockets])
    expect(code, stderr).toBe(0)
    client.kill('SIGKILL')
    await gone(() => childrenOf(warm))
  })

  it('ends by the signal that killed its child', async () => {
    const { ended, warm, child } = await running()
    process.kill(child, 'SIGKILL')
    expect(await ended).toMatchObject({ code: null, signal: 'SIGKILL' })
    expect(warmOf(sockets)).toEqual([warm])
  })
})

describe.skipIf(process.platform !== 'linux')('a warm trainer ends', () => {
  it('when its owner was killed', async () => {
    const folder = await newFolder()
    const owner = spawn(
      process.execPath,
      ['--input-type=module', '-e', OWNER, interpreter, absent('owned')],
      { env: environment(folder), stdio: ['ignore', 'ignore', 'ignore', 'ipc'] },
    )
    spawned.push(owner)
    await new Promise((resolve) => owner.on('message', resolve))
    only(warmOf(folder))
    owner.kill('SIGKILL')
    await gone(() => warmOf(folder))
  })

  it('when its folder was removed', async () => {
    const folder = await newFolder()
    await start(absent('removed'), folder).ended
    only(warmOf(folder))
    await rm(folder, { recursive: true })
    await gone(() => warmOf(folder))
  })
})

/** Starts one job, tells that it has ended, and stays. */
const OWNER = `
import { spawn } from 'node:child_process'
const [, python, job] = process.argv
spawn(python, ['-m', 'pretext_trainer', job], { stdio: 'ignore' }).on('close', () => process.send('served'))
setInterval(() => {}, 1000)
`

/** A client that goes before it is answered, then one that waits. */
const IMPATIENT = `
import json, os, socket, sys, tempfile
from pretext_trainer import warm
with tempfile.TemporaryDirectory() as folder:
    os.environ[warm.FOLDER] = folder
    request = json.dumps({"job": sys.argv[1], "folder": os.getcwd()}).encode()
    def ask():
        connection = warm._connect(folder)
        socket.send_fds(connection, [request], [2, 2])
        return connection
    ask().close()
    patient = ask()
    assert patient.recv(1) == warm._TAKEN, "the warm process has ended"
    assert patient.recv(64) == b"1"
`

/** An interrupt that waits for the child to be forked. */
const HASTY = `
import json, os, signal, socket, sys
from pretext_trainer import warm
address = next(entry.path for entry in os.scandir(sys.argv[2]) if not entry.name.endswith(".lock"))
with warm._open(address) as connection:
    connection.settimeout(30)
    socket.send_fds(connection, [json.dumps({"job": sys.argv[1], "folder": "/"}).encode()], [2, 2])
    connection.send(bytes([signal.SIGINT]))
    assert connection.recv(1) == warm._TAKEN
    assert connection.recv(64)
`

/** Two children of a process that has numpy, as the warm one makes them. */
const DRAWS = `
import os
import numpy.random
from pretext_trainer import warm
def run(_):
    os.write(1, f"{numpy.random.random()}\\n".encode())
    return 0
for _ in range(2):
    os.environ[warm.FOLDER] = "any"
    pid = os.fork()
    if pid == 0:
        warm._child({"job": "x", "folder": "."}, [os.dup(1), os.dup(2)], run)
    assert os.waitpid(pid, 0)[1] == 0
`
