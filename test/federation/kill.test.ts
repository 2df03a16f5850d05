// kill -9 at random moments of a real coordinator under load: no acknowledged vote is lost, none is counted twice
// (properties 9, 20). PRETEXT_KILLS sets how often; docs/federation.md has what 50 gave.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, describe, expect, it } from 'vitest'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { seededRandom } from '../../src/random.ts'
import { client, enrolAll, signedRequest, voteFor } from './example.ts'

const KILLS = Number(process.env.PRETEXT_KILLS ?? 4)
const CLIENTS = Math.max(200, 40 * KILLS)
const CHILD = join(import.meta.dirname, 'coordinator-child.ts')
/** A client's vote has steps of its own: a sum tells whose vote is in it, and how often. */
const stepsOf = (n: number) => 1 + (n % 97)

interface Child {
  readonly process: ChildProcess
  readonly ready: { url: string; hash: string; task: string }
  /** The next line of its output, as JSON. */
  line(): Promise<Record<string, unknown>>
}

let child: Child | undefined
afterEach(() => {
  child?.process.kill('SIGKILL')
})

async function startChild(file: string): Promise<Child> {
  const process_ = spawn(process.execPath, ['--import', 'tsx', CHILD, file, '0', String(CLIENTS)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: process_.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]()
  const line = async () => JSON.parse((await lines.next()).value ?? 'null')
  child = { process: process_, ready: await line(), line }
  return child
}

async function startedStore(): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'kill-')), 'store.db')
  const store = await sqlStore(await embeddedDatabase(file))
  await enrolAll(store, CLIENTS)
  await store.close()
  return file
}

async function upload({ url, hash, task }: Child['ready'], n: number): Promise<number | undefined> {
  const request = signedRequest(
    client(n),
    'PUT',
    `/v1/rounds/${hash}/vote`,
    voteFor(n, BigInt(stepsOf(n))),
    task,
    Date.now(),
  )
  const { method, headers, body } = request
  const path = new URL(request.url).pathname
  const answer = await fetch(`${url}${path}`, { method, headers, body, duplex: 'half' } as RequestInit).catch(
    () => undefined,
  )
  return answer?.status
}

describe('a coordinator that is killed', () => {
  it(`${KILLS} times under load loses no acknowledged vote and counts none twice`, async () => {
    const random = seededRandom(Number(process.env.PRETEXT_SEED ?? 1), 'kills')
    const file = await startedStore()
    const acknowledged = new Set<number>()
    let next = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const running = await startChild(file)
      const dead = new Promise((resolve) => running.process.once('exit', resolve))
      const until = Math.min(CLIENTS, next + Math.ceil(CLIENTS / KILLS))
      // Eight uploads at a time, every fifth client twice.
      const work = Array.from({ length: 8 }, async () => {
        while (next < until && running.process.exitCode === null && running.process.signalCode === null) {
          const n = next++
          if ((await upload(running.ready, n)) === 200) acknowledged.add(n)
          if (n % 5 === 0 && (await upload(running.ready, n)) === 200) acknowledged.add(n)
        }
      })
      setTimeout(() => running.process.kill('SIGKILL'), 5 + random.integer(150))
      await Promise.all([...work, dead])
    }
    const last = await startChild(file)
    // Clients whose answer was lost ask again, as pretext join does; half of them never come back.
    for (let n = 0; n < CLIENTS; n += 2) {
      if (!acknowledged.has(n) && (await upload(last.ready, n)) === 200) acknowledged.add(n)
    }
    last.process.stdin?.write('close\n')
    const { sums } = (await last.line()) as { sums: number[] }
    expect(sums).toHaveLength(CLIENTS)
    expect(acknowledged.size).toBeGreaterThanOrEqual(CLIENTS / 2)
    sums.forEach((sum, n) => {
      if (acknowledged.has(n)) expect(sum, `client ${n}`).toBe(stepsOf(n))
      else expect([0, stepsOf(n)], `client ${n}`).toContain(sum)
    })
  })

  it('with SIGTERM-like draining answers what it has and is gone in seconds', async () => {
    const file = await startedStore()
    const running = await startChild(file)
    const answers = Array.from({ length: 40 }, (_, n) => upload(running.ready, n))
    await Promise.race(answers)
    running.process.stdin?.write('drain\n')
    expect(await running.line()).toEqual({ drained: true })
    const statuses = await Promise.all(answers)
    const again = await startChild(file)
    again.process.stdin?.write('close\n')
    const { sums } = (await again.line()) as { sums: number[] }
    statuses.forEach((status, n) => {
      if (status === 200) expect(sums[n]).toBe(stepsOf(n))
    })
  })
})
