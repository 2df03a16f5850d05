// How many signed, durable uploads a second a coordinator takes: npx tsx bench/federation-load.ts [SECONDS] [BYTES]
// [postgres URL]. The coordinator is a process of its own; this one is the load generator, on the same machine. Requests are
// signed beforehand, as clients sign on their own machines; each client votes once, and every 20th upload is sent twice.

import { randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeVote } from '../src/federation/protocol/vote-bytes.ts'
import { embeddedDatabase } from '../src/federation/stores/embedded.ts'
import { postgresDatabase } from '../src/federation/stores/postgres.ts'
import { enrol, signedHeaders, startCoordinator } from './federation-coordinator.ts'

const SECONDS = Number(process.argv[2] ?? 10)
const BYTES = Number(process.argv[3] ?? 4096)
const CONNECTIONS = 64
const WARM_UP_MS = 2000
const CLIENTS = (SECONDS + WARM_UP_MS / 1000) * 3500
const CANDIDATES = Math.max(16, Math.ceil(BYTES / 3))

const place = process.argv[4] ?? join(await mkdtemp(join(tmpdir(), 'load-')), 'store.db')
const postgres = place.startsWith('postgres:')
process.stderr.write(`enrolling ${CLIENTS} clients ...\n`)
const identities = await enrol(await (postgres ? postgresDatabase(place) : embeddedDatabase(place)), CLIENTS)
const { url, hash, task, ...first } = await startCoordinator(place, CANDIDATES)

// One vote of about BYTES bytes: three bytes for each candidate, within the bound.
const named = Math.min(CANDIDATES, Math.floor((BYTES - 18) / 3))
const indices = Array.from({ length: named }, (_, i) => i)
const steps = indices.map(() => BigInt(Math.max(128, Math.floor(65_536 / Math.sqrt(named)))))
const path = `/v1/rounds/${hash}/vote`
process.stderr.write('signing ...\n')
const uploads = identities.map((identity) => {
  const body = encodeVote({ indices, steps }, randomBytes(16))
  const headers = () => signedHeaders(identity, task, path, body)
  return { body, first: headers(), again: headers() }
})

const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const { hostname, port } = new URL(url)
let times: number[] = []
const statuses = new Map<number, number>()
function send(body: Uint8Array, signed: ReturnType<typeof signedHeaders>): Promise<void> {
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        agent,
        hostname,
        port,
        path,
        method: 'PUT',
        headers: { ...signed, 'content-type': 'application/octet-stream' },
      },
      (answer) => {
        answer.resume()
        answer.on('end', () => {
          times.push(performance.now() - began)
          const status = answer.statusCode ?? 0
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          resolve()
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

let next = 0
let duplicates = 0
/** Uploads over all connections until the time is over. */
const uploadFor = async (ms: number): Promise<number> => {
  const began = performance.now()
  times = []
  await Promise.all(Array.from({ length: CONNECTIONS }, () => connection(began + ms)))
  return (performance.now() - began) / 1000
}
async function connection(until: number): Promise<void> {
  while (performance.now() < until && next < uploads.length) {
    const n = next++
    const { body, first, again } = uploads[n] as (typeof uploads)[0]
    await send(body, first)
    if (n % 20 === 0) {
      duplicates++
      await send(body, again)
    }
  }
}
// A coordinator runs for days: what it takes in its first second is not what is asked here.
await uploadFor(WARM_UP_MS)
const seconds = await uploadFor(SECONDS * 1000)
agent.destroy()
const { cpuSeconds, rssBytes } = await first.ask('usage')
// Killed with all votes of the round in its store, it comes back with the same round, and closes it.
first.child.kill('SIGKILL')
const killed = performance.now()
const second = await startCoordinator(place, CANDIDATES)
const recoveryMs = performance.now() - killed
const { sums } = await second.ask('close')
second.child.kill()

const sorted = times.sort((a, b) => a - b)
const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
const counted = sums[0] / Number(steps[0])
console.log(
  JSON.stringify({
    store: postgres ? 'postgres' : 'embedded',
    bytes: (uploads[0] as (typeof uploads)[0]).body.length,
    uploads: times.length,
    perSecond: Math.round(times.length / seconds),
    p50: Number(at(0.5).toFixed(1)),
    p99: Number(at(0.99).toFixed(1)),
    statuses: Object.fromEntries(statuses),
    // The coordinator's own processor time, which other programs on the machine do not change much.
    cpuMsPerUpload: Number(((cpuSeconds * 1000) / (next + duplicates)).toFixed(3)),
    coordinatorMb: Math.round(rssBytes / 1e6),
    load: loadavg()[0],
    clients: next,
    recoveryMs: Math.round(recoveryMs),
    countedOnce: counted === next,
  }),
)
