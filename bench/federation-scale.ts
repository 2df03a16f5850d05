// Ten thousand clients over real HTTP for eleven rounds: npx tsx bench/federation-scale.ts [CLIENTS] [ROUNDS]. Every client
// signs and votes in every round; the sums must be the oracle's, and the coordinator's memory stay small.

import { spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { toBase64Url } from '../src/federation/protocol/bytes.ts'
import { signedBytes } from '../src/federation/protocol/signing.ts'
import { encodeVote } from '../src/federation/protocol/vote-bytes.ts'
import { embeddedDatabase } from '../src/federation/stores/embedded.ts'
import { sqlStore } from '../src/federation/stores/sql-store.ts'

const CLIENTS = Number(process.argv[2] ?? 10_000)
const ROUNDS = Number(process.argv[3] ?? 11)
const CANDIDATES = 1024
const CONNECTIONS = 64

const file = join(await mkdtemp(join(tmpdir(), 'scale-')), 'store.db')
const database = await embeddedDatabase(file)
await sqlStore(database)
const identities = Array.from({ length: CLIENTS }, () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
  return { key: privateKey, publicKey: raw, client: createHash('sha256').update(raw).digest('hex') }
})
for (let i = 0; i < CLIENTS; i += 1000) {
  await database.write(
    identities.slice(i, i + 1000).map(({ client, publicKey }) => ({
      sql: 'INSERT INTO clients (client, public_key, enrolled) VALUES (?, ?, 0)',
      args: [client, publicKey],
    })),
  )
}
await database.close()

const child = spawn(
  process.execPath,
  [
    '--import',
    'tsx',
    join(import.meta.dirname, '../test/federation/coordinator-child.ts'),
    file,
    '0',
    String(CANDIDATES),
  ],
  { stdio: ['pipe', 'pipe', 'inherit'] },
)
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
const line = async () => JSON.parse((await lines.next()).value as string)
const { url, task, ...opened } = await line()
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
  const { key, client } = identities[n] as (typeof identities)[0]
  const body = encodeVote(vote(n, round), randomBytes(16))
  const path = `/v1/rounds/${hash}/vote`
  const nonce = toBase64Url(randomBytes(16))
  const time = Date.now()
  const signature = toBase64Url(
    sign(null, signedBytes({ task, method: 'PUT', path, body, time, nonce }), key),
  )
  const authorization = `Pretext client=${client},time=${time},nonce=${nonce},signature=${signature}`
  const headers = { authorization, 'content-type': 'application/octet-stream', 'content-length': body.length }
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
  child.stdin.write('close\n')
  const closed = await line()
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
