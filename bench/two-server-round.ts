// One round of two servers over real HTTP: npx tsx bench/two-server-round.ts [CLIENTS] [CANDIDATES] [MULTIPROOF] [K]. Leader and
// helper are processes of their own on this machine, as are the makers of reports; every hundredth report is dishonest. The
// exact sum, which only this program can put together, must be that of the honest votes.
import { type ChildProcess, spawn } from 'node:child_process'
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { mkdtemp, readFile, stat } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { clientIdentity } from '../src/federation/client/identity.ts'
import { helperStore } from '../src/federation/helper/helper-store.ts'
import { parseManifest } from '../src/federation/protocol/manifest.ts'
import { REPORT_TYPE, reportSize, voteVdaf } from '../src/federation/protocol/report-bytes.ts'
import { embeddedDatabase } from '../src/federation/stores/embedded.ts'
import { sqlStore } from '../src/federation/stores/sql-store.ts'
import { joinedResults } from '../src/federation/verification/jobs.ts'
import { signedHeaders } from './federation-coordinator.ts'
import { secretOf, voteOf } from './two-server-votes.ts'

const CLIENTS = Number(process.argv[2] ?? 10_000)
const CANDIDATES = Number(process.argv[3] ?? 1024)
const MULTIPROOF = process.argv[4] === 'true'
const MAX_WEIGHT = Number(process.argv[5] ?? 16)
const CONNECTIONS = 64
const MAKERS = 2

const folder = await mkdtemp(join(tmpdir(), 'two-server-'))
const log = (line: string) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`)

log(`enrolling ${CLIENTS} clients`)
const clients: { key: KeyObject; client: string }[] = []
const database = await embeddedDatabase(join(folder, 'leader.db'))
await sqlStore(database)
for (let from = 0; from < CLIENTS; from += 1000) {
  const statements = []
  for (let n = from; n < Math.min(from + 1000, CLIENTS); n++) {
    const { client, publicKey } = await clientIdentity(secretOf(n))
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      d: Buffer.from(secretOf(n)).toString('base64url'),
      x: Buffer.from(publicKey).toString('base64url'),
    }
    clients.push({ client, key: createPrivateKey({ key: jwk, format: 'jwk' }) })
    const sql = 'INSERT INTO clients (client, public_key, enrolled) VALUES (?, ?, 0)'
    statements.push({ sql, args: [client, publicKey] })
  }
  await database.write(statements)
}
await database.close()

const children: ChildProcess[] = []
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
async function started(role: string, ...more: string[]) {
  const program = join(import.meta.dirname, '../test/federation/two-server-child.ts')
  const options = { jobSize: 256, maxWeight: MAX_WEIGHT, multiproof: MULTIPROOF, threads: 2, rounds: 1 }
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', program, role, folder, String(CANDIDATES), '0', ...more],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, PRETEXT_TWO_SERVER: JSON.stringify(options) },
    },
  )
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async () => JSON.parse((await lines.next()).value as string)
  const ask = (word: string) => {
    child.stdin.write(`${word}\n`)
    return line()
  }
  return { ask, ready: await line() }
}
const helper = await started('helper')
const leader = await started('leader', helper.ready.url)
const { url, hash, task } = leader.ready as { url: string; hash: string; task: string }
const { hostname, port } = new URL(url)

log('making reports')
const made = await Promise.all(
  Array.from({ length: MAKERS }, async (_, i) => {
    const at = (part: number) => String(Math.round((CLIENTS * part) / MAKERS))
    const file = join(folder, `reports-${i}`)
    const program = join(import.meta.dirname, 'two-server-reports.ts')
    const args = ['--import', 'tsx', program, url, hash, at(i), at(i + 1), file]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    await new Promise((done) => child.once('close', done))
    return { file, ...(JSON.parse(output) as { shardMs: number; cpuMs: number }) }
  }),
)
const manifest = parseManifest(
  new Uint8Array(await (await fetch(`${url}/v1/blobs/${hash}`)).arrayBuffer()),
  hash,
)
const vdaf = voteVdaf(manifest)
const size = reportSize(vdaf)
const bytes = Buffer.concat(await Promise.all(made.map(({ file }) => readFile(file))))
const path = `/v1/rounds/${hash}/vote`
const headers = clients.map((client, n) => ({
  ...signedHeaders(client, task, path, bytes.subarray(n * size, (n + 1) * size)),
  'content-type': REPORT_TYPE,
}))

log('uploading')
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
const times: number[] = []
const statuses = new Map<number, number>()
const send = (n: number) =>
  new Promise<void>((resolve, reject) => {
    const began = performance.now()
    const outgoing = request(
      { agent, hostname, port, path, method: 'PUT', headers: headers[n] as (typeof headers)[0] },
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
    outgoing.end(bytes.subarray(n * size, (n + 1) * size))
  })
const before = await leader.ask('usage')
let next = 0
const uploading = performance.now()
await Promise.all(
  Array.from({ length: CONNECTIONS }, async () => {
    while (next < CLIENTS) await send(next++)
  }),
)
const uploadSeconds = (performance.now() - uploading) / 1000
agent.destroy()
const uploaded = await leader.ask('usage')
const helperBefore = await helper.ask('usage')

log('verifying')
const verified = await leader.ask('close')
const helperAfter = await helper.ask('usage')

// Nobody but this program has both disks.
const [own, other] = [
  await sqlStore(await embeddedDatabase(join(folder, 'leader.db'))),
  await helperStore(await embeddedDatabase(join(folder, 'helper.db'))),
]
const results = [await own.jobs(hash), await other.results(hash)].map((jobs) =>
  joinedResults({ manifest, hash }, jobs),
)
await own.close()
await other.close()
const accepted = results[0]?.accepted ?? 0
const sums = vdaf.unshard(
  results.map(({ share }) => share),
  accepted,
)
const oracle = new Array<number>(CANDIDATES).fill(0)
let honest = 0
for (let n = 0; n < CLIENTS; n++) {
  const vote = voteOf(n, CANDIDATES, MAX_WEIGHT)
  if (!vote.honest) continue
  honest++
  for (const index of vote.indices) oracle[index] = (oracle[index] as number) + 1
}
const releasing = performance.now()
await leader.ask('release')
const releaseSeconds = (performance.now() - releasing) / 1000
const sorted = times.sort((a, b) => a - b)
const at = (share: number) => Number((sorted[Math.floor(share * (sorted.length - 1))] as number).toFixed(1))
const round = (value: number, digits = 2) => Number(value.toFixed(digits))
console.log(
  JSON.stringify({
    clients: CLIENTS,
    candidates: CANDIDATES,
    maxWeight: MAX_WEIGHT,
    multiproof: MULTIPROOF,
    uploadBytes: size,
    shardMs: round(Math.max(...made.map(({ shardMs }) => shardMs))),
    clientCpuMs: round(Math.max(...made.map(({ cpuMs }) => cpuMs))),
    uploadsPerSecond: Math.round(CLIENTS / uploadSeconds),
    uploadP99Ms: at(0.99),
    uploadCpuMs: round((1000 * (uploaded.cpuSeconds - before.cpuSeconds)) / CLIENTS, 3),
    statuses: Object.fromEntries(statuses),
    verifySeconds: round(verified.seconds),
    verifiedPerSecond: Math.round(CLIENTS / verified.seconds),
    leaderCpuMs: round((1000 * (verified.cpuSeconds - uploaded.cpuSeconds)) / CLIENTS, 3),
    helperCpuMs: round((1000 * (helperAfter.cpuSeconds - helperBefore.cpuSeconds)) / CLIENTS, 3),
    leaderMb: Math.round(verified.rssBytes / 1e6),
    helperMb: Math.round(helperAfter.rssBytes / 1e6),
    storeMb: Math.round((await stat(join(folder, 'leader.db'))).size / 1e6),
    releaseSeconds: round(releaseSeconds),
    accepted,
    poisoned: CLIENTS - honest,
    poisonedAccepted: accepted - honest,
    sumsEqualOracle: sums.every((sum, i) => sum === oracle[i]),
    load: loadavg()[0],
  }),
)
process.exit(0)
