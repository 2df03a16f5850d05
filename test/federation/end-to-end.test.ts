// The whole thing: a coordinator on real HTTP and eight clients as processes of their own, three rounds on the texts of
// data/debian, one client killed and started again, one upload replayed. The exact sums are the simulator's on the same texts.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import type { ClosedRound } from '../../src/federation/aggregation/aggregation.ts'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { openCoordinator } from '../../src/run/coordinator.ts'
import { generate } from '../../src/run/generate.ts'
import { sentence } from '../run/workspace.ts'
import { writeJsonl } from './jsonl.ts'
import { simulatedSums } from './simulated-sums.ts'

const CLIENTS = 8
const ROUNDS = 3
const CLI = join(import.meta.dirname, 'cli-child.ts')
const DEBIAN = resolve(import.meta.dirname, '../../data/debian/clients.jsonl')

const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
})

interface Row {
  readonly client: string
  readonly text: string
}

/** The first clients of data/debian with 3 texts or more, a few of each. */
async function debian(): Promise<Row[][]> {
  const byClient = new Map<string, Row[]>()
  for (const line of (await readFile(DEBIAN, 'utf8')).split('\n').filter((l) => l !== '')) {
    const row = JSON.parse(line) as Row
    byClient.set(row.client, [...(byClient.get(row.client) ?? []), row])
  }
  return [...byClient.values()]
    .filter((rows) => rows.length >= 3)
    .slice(0, CLIENTS)
    .map((rows) => rows.slice(0, 6))
}

function startClient(folder: string, n: number, server: string, token: string) {
  const child = spawn(
    process.execPath,
    [
      ...['--import', 'tsx', CLI, 'join', '--server', server, '--texts', join(folder, `own-${n}.jsonl`)],
      ...['--token', token, '--state', join(folder, `state-${n}`), '--model', 'hashing'],
      ...['--epsilon', '20', '--delta', '1e-5', '--minimum-cohort', '4'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  children.push(child)
  let output = ''
  const heard: (() => void)[] = []
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data
      for (const wake of heard.splice(0)) wake()
    })
  const ended = new Promise<number | null>((done) => child.on('close', (code) => done(code)))
  return {
    child,
    ended,
    output: () => output,
    async says(pattern: RegExp) {
      while (!pattern.test(output)) {
        if (child.exitCode !== null) throw new Error(`the client ended: ${output}`)
        await new Promise<void>((wake) => heard.push(wake))
      }
    },
  }
}

/** A man in the middle who sends every vote a second time. */
async function replayingProxy(target: string): Promise<{ url: string; statuses: number[]; close(): void }> {
  const statuses: number[] = []
  const server = createServer((incoming, outgoing) => {
    const parts: Buffer[] = []
    incoming.on('data', (part) => parts.push(part))
    incoming.on('end', () => {
      const send = (done: (status: number, headers: object, body: Buffer) => void) => {
        const { method, url, headers } = incoming
        const forward = httpRequest(`${target}${url}`, { method, headers }, (answer) => {
          const body: Buffer[] = []
          answer.on('data', (part) => body.push(part))
          answer.on('end', () => done(answer.statusCode ?? 0, answer.headers, Buffer.concat(body)))
        })
        forward.end(Buffer.concat(parts))
      }
      send((status, headers, body) => {
        outgoing.writeHead(status, headers as Record<string, string>).end(body)
        if (incoming.method === 'PUT') send((again) => statuses.push(again))
      })
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  return { url: `http://127.0.0.1:${port}`, statuses, close: () => server.close() }
}

it('three rounds, eight clients, one killed and one replayed: the sums are those of the simulator', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'federation-'))
  const texts = await debian()
  for (const [n, rows] of texts.entries())
    await writeJsonl(
      folder,
      `own-${n}.jsonl`,
      rows.map(({ text }) => ({ text })),
    )
  await writeJsonl(
    folder,
    'public.jsonl',
    Array.from({ length: 60 }, (_, i) => ({ text: sentence(i) })),
  )
  const file = join(folder, 'config.yaml')
  await mkdir(folder, { recursive: true })
  await writeFile(
    file,
    stringify({
      name: 'whole',
      data: { dataset: 'whole', public: { path: 'public.jsonl' } },
      privacy: { unit: 'client', epsilon: 8, delta: 1e-5, minimumClients: 4 },
      embeddings: { model: 'hashing' },
      histogram: { maxTextsPerClient: 6 },
      evolution: { rounds: ROUNDS, population: 24, variation: { minWords: 3 } },
      llm: { provider: 'scripted', model: 'scripted' },
      generate: { texts: 12, minWords: 3 },
      federation: { port: 0, target: CLIENTS, roundMinutes: 5, pollSeconds: 1 },
      output: { folder: 'runs' },
    }),
  )
  const loaded = await loadConfig(file)
  const open = await openCoordinator(loaded)
  const { coordinator } = open
  const rounds: { readonly sums: bigint[]; readonly round: ClosedRound }[] = []
  const watched = {
    ...open,
    coordinator: {
      ...coordinator,
      aggregation: {
        ...coordinator.aggregation,
        async release(...[round, options]: Parameters<typeof coordinator.aggregation.release>) {
          rounds.push({ round, sums: [...exactSums(await sumVotes(round))] })
          return coordinator.aggregation.release(round, options)
        },
      },
    },
  }
  const running = generate(loaded, { coordinator: watched, out: join(folder, 'out') })
  running.catch(() => {})

  const proxy = await replayingProxy(open.url)
  const tokens = await mintTokens(coordinator.store, CLIENTS, Date.now())
  const start = (n: number) => startClient(folder, n, n === 1 ? proxy.url : open.url, tokens[n] as string)
  const clients = Array.from({ length: CLIENTS }, (_, n) => start(n))
  const killed = clients[0] as (typeof clients)[0]
  await killed.says(/round 1\/3: voted/)
  killed.child.kill('SIGKILL')
  await killed.ended
  clients[0] = start(0)

  const result = await running
  for (const client of clients) {
    expect(await client.ended, client.output()).toBe(0)
    expect(client.output()).toMatch(
      /trusted aggregation, which means that the coordinator sees each single vote/,
    )
    expect(client.output()).toMatch(/your texts have spent epsilon (7\.9999|8\.0000) at delta 0\.00001/)
  }
  expect(result.report.privacy.releases).toBe(ROUNDS)
  expect(chargesIn(await readLedger(result.ledger))).toHaveLength(ROUNDS)
  expect(proxy.statuses).toEqual([401, 401, 401])

  const embedder = createHashingEmbedder()
  const all = await writeJsonl(folder, 'clients.jsonl', texts.flat())
  expect(rounds).toHaveLength(ROUNDS)
  for (const { round, sums } of rounds) {
    const asSent = (await coordinator.store.blob(round.manifest.candidates.sha256)) as Uint8Array
    expect(sums).toEqual(await simulatedSums(round.manifest, asSent, all, embedder))
  }
  proxy.close()
  await open.close()
})
