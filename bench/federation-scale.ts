// Ten thousand clients over real HTTP for eleven rounds: npx tsx bench/federation-scale.ts [CLIENTS] [ROUNDS]. Every client
// signs and votes in every round; the sums must be the oracle's, and the coordinator's memory stay small.

import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeVote } from '../src/federation/protocol/vote-bytes.ts'
import { embeddedDatabase } from '../src/federation/stores/embedded.ts'
import { type BenchClient, enrol, signedHeaders, startCoordinator } from './federation-coordinator.ts'

const CLIENTS = Number(process.argv[2] ?? 10_000)
const ROUNDS = Number(process.argv[3] ?? 11)
const CANDIDATES = 1024
const CONNECTIONS = 64

const file = join(await mkdtemp(join(tmpdir(), 'scale-')), 'store.db')
const identities = await enrol(await embeddedDatabase(file), CLIENTS)
const { child, ask, url, task, ...opened } = await startCoordinator(file, CANDIDATES)
const { hostname, port } = new URL(url)
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
let hash: string = opened.hash
let errors = 0

function vote(n: number, round: number): { indices: number[]; steps: bigint[] } {
  const indices = [...new Set([0, 1, 2, 3].map((i) => (n * 7 + round * 31 + i * 257) % CANDIDATES))].sort(
    (a, b) => a - b,
  )
  return { indices, steps: indices.map((_, i) => BigInt(1 + ((n + i) % 30_000))) }
}

function send(n: number, round: number): Promise<void> {
  const body = encodeVote(vote(n, round), randomBytes(16))
  const path = `/v1/rounds/${hash}/vote`
  const headers = {
    ...signedHeaders(identities[n] as BenchClient, task, path, body),
    'content-type': 'application/octet-stream',
  }
  return new Promise((resolve) => {
    const outgoing = request({ agent, hostname, port, path, method: 'PUT', headers }, (answer) => {
      if (answer.statusCode !== 200) errors++
      answer.resume()
      answer.on('end', resolve)
    })
    outgoing.on('error', () => {
      errors++
      resolve()
    })
    outgoing.end(body)
  })
}

let peak = 0
let equal = true
const began = performance.now()
for (let round = 1; round <= ROUNDS; round++) {
  let next = 0
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < CLIENTS) await send(next++, round)
    }),
  )
  const closed = await ask('close')
  const oracle = new Float64Array(CANDIDATES)
  for (let n = 0; n < CLIENTS; n++) {
    const { indices, steps } = vote(n, round)
    indices.forEach((index, i) => {
      oracle[index] = (oracle[index] as number) + Number(steps[i])
    })
  }
  equal &&= oracle.every((sum, i) => sum === closed.sums[i])
  peak = Math.max(peak, closed.rssBytes)
  hash = closed.hash
  process.stderr.write(`round ${round}: ${Math.round(closed.rssBytes / 1e6)} MB\n`)
}
const seconds = (performance.now() - began) / 1000
child.kill()
agent.destroy()
console.log(
  JSON.stringify({
    clients: CLIENTS,
    rounds: ROUNDS,
    uploads: CLIENTS * ROUNDS,
    perSecond: Math.round((CLIENTS * ROUNDS) / seconds),
    errors,
    sumsEqualOracle: equal,
    coordinatorPeakMb: Math.round(peak / 1e6),
    load: loadavg()[0],
  }),
)
