// Two `pretext serve --replica` as processes on one PostgreSQL, behind a balancer that sends every request to the other one
// in turn. One of them, then the other, is killed with -9 and started again in the middle of a round: no vote is lost, none
// is counted twice (properties 2, 9).
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { matrix } from '../../src/embeddings/matrix.ts'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { collectRound } from '../../src/federation/coordinator/collect.ts'
import { postgresDatabase } from '../../src/federation/stores/postgres.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import type { Store } from '../../src/federation/stores/store.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { sentence } from '../run/workspace.ts'
import {
  client,
  enrolAll,
  exampleCoordinator,
  exampleTerms,
  openedRound,
  SPOKEN,
  signedRequest,
  voteFor,
} from './example.ts'
import { writeJsonl } from './jsonl.ts'
import { startPostgres } from './postgres-server.ts'

const CLIENTS = 400
const CLI = join(import.meta.dirname, 'cli-child.ts')
const stepsOf = (n: number) => 1 + (n % 97)

const postgres = await startPostgres()
const children: ChildProcess[] = []
let opened: Store | undefined
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL')
  await opened?.close()
  await postgres?.stop()
})

interface Replica {
  url: string
  child: ChildProcess
}

async function startReplica(config: string): Promise<Replica> {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', CLI, 'serve', config, '--replica', '--port', '0'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, REPLICAS_DATABASE: postgres?.url } },
  )
  children.push(child)
  let said = ''
  const url = await new Promise<string>((found, failed) => {
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        said += data
        const match = /clients join at (http:\S+?);/.exec(said)
        if (match !== null) found(match[1] as string)
      })
    child.on('exit', () => failed(new Error(`the replica ended: ${said}`)))
  })
  return { url, child }
}

async function kill(replica: Replica): Promise<void> {
  const dead = new Promise((resolve) => replica.child.once('exit', resolve))
  replica.child.kill('SIGKILL')
  await dead
}

async function writeConfig(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'replicas-'))
  const texts = Array.from({ length: 20 }, (_, i) => ({ text: sentence(i) }))
  await writeJsonl(folder, 'public.jsonl', texts)
  const file = join(folder, 'config.yaml')
  const config = {
    name: 'replicas',
    data: { dataset: 'replicas', public: { path: 'public.jsonl' } },
    privacy: { unit: 'client', epsilon: 8, delta: 1e-5, minimumClients: 2 },
    embeddings: { model: 'hashing' },
    evolution: { rounds: 1, population: 16, variation: { minWords: 3 } },
    llm: { provider: 'scripted', model: 'scripted' },
    generate: { texts: 8, minWords: 3 },
    federation: { port: 0, roundMinutes: 5, pollSeconds: 1, postgresUrlEnv: 'REPLICAS_DATABASE' },
    output: { folder: 'runs' },
  }
  await writeFile(file, stringify(config))
  return file
}

describe.skipIf(postgres === undefined)('replicas', () => {
  it('either one killed in the middle of a round: every vote is in the sum, once', async () => {
    const store = await sqlStore(await postgresDatabase(postgres?.url as string, 4))
    opened = store
    await enrolAll(store, CLIENTS)
    const coordinator = await exampleCoordinator(store)
    const terms = exampleTerms({
      candidates: matrix(CLIENTS, 256),
      cohort: { minimum: CLIENTS, target: null, seats: null },
      openSeconds: 300,
    })
    const stop = new AbortController()
    const { hash } = await openedRound(coordinator, terms, stop.signal)
    const config = await writeConfig()
    const replicas = await Promise.all([startReplica(config), startReplica(config)])

    let turn = 0
    const answered = [0, 0]
    const failed = { count: 0 }
    /** As the balancer sends it: to the replica whose turn it is, alive or not. */
    const upload = async (n: number): Promise<number | undefined> => {
      const which = turn++ % 2
      const vote = voteFor(n, BigInt(stepsOf(n)))
      const path = `/v1/rounds/${hash}/vote`
      const request = signedRequest(client(n), 'PUT', path, vote, coordinator.task, Date.now())
      const { method, headers } = request
      const answer = await fetch(`${(replicas[which] as Replica).url}${path}`, {
        method,
        headers,
        body: new Uint8Array(vote),
      }).catch(() => undefined)
      if (answer === undefined) failed.count++
      else answered[which] = (answered[which] ?? 0) + 1
      return answer?.status
    }
    let acknowledged = 0
    const untilAcknowledged = async (n: number) => {
      for (;;) {
        const status = await upload(n)
        if (status === 200) return
        expect(status).toBeUndefined()
      }
    }
    const killAt = new Map([
      [Math.round(CLIENTS * 0.2), 0],
      [Math.round(CLIENTS * 0.6), 1],
    ])
    const deaths: Promise<void>[] = []
    let next = 0
    const worker = async () => {
      while (next < CLIENTS) {
        const n = next++
        // Every fifth sends to both at once, as one whose balancer gave up too early.
        await Promise.all([untilAcknowledged(n), ...(n % 5 === 0 ? [untilAcknowledged(n)] : [])])
        const victim = killAt.get(++acknowledged)
        if (victim !== undefined) {
          deaths.push(
            kill(replicas[victim] as Replica).then(async () => {
              replicas[victim] = await startReplica(config)
            }),
          )
          // The second is killed when the first is back: one of the two is always there.
          if (deaths.length === 1) await deaths[0]
        }
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    await Promise.all(deaths)
    expect(deaths).toHaveLength(2)
    expect(failed.count).toBeGreaterThan(0)
    expect(Math.min(...answered)).toBeGreaterThan(CLIENTS / 10)

    stop.abort()
    await store.closeRound(hash)
    const sums = [...exactSums(await sumVotes(await collectRound(coordinator, terms)))].map(Number)
    expect(sums).toEqual(Array.from({ length: CLIENTS }, (_, n) => stepsOf(n)))

    // A replica that starts late does not open what is over.
    await store.setControl('finished')
    const late = await startReplica(config)
    expect(await (await fetch(`${late.url}/v1/task`, { headers: SPOKEN })).json()).toMatchObject({
      state: 'finished',
    })
  })
})
