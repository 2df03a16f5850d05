// Reports of many clients, made beforehand in a process of its own, as clients make them on their own machines: node --import
// tsx bench/two-server-reports.ts URL MANIFEST FROM TO FILE. Client n's vote is in two-server-votes.ts; every hundredth is
// dishonest. Prints the median of sharding, and what one
// report cost of this process' CPU, in milliseconds.
import { open } from 'node:fs/promises'
import { clientIdentity } from '../src/federation/client/identity.ts'
import { sealReport, shareVote } from '../src/federation/client/shares.ts'
import { KeysSchema } from '../src/federation/protocol/aggregator.ts'
import { PROTOCOL, parseManifest } from '../src/federation/protocol/manifest.ts'
import { PROTOCOL_HEADER } from '../src/federation/protocol/version.ts'
import { secretOf, voteOf } from './two-server-votes.ts'

const [url = '', hash = '', from = '0', to = '0', file = ''] = process.argv.slice(2)
const get = async (path: string) => {
  const answer = await fetch(`${url}${path}`, { headers: { [PROTOCOL_HEADER]: PROTOCOL } })
  return new Uint8Array(await answer.arrayBuffer())
}
const manifest = parseManifest(await get(`/v1/blobs/${hash}`), hash)
const keys = KeysSchema.parse(JSON.parse(new TextDecoder().decode(await get('/v1/keys'))))
const { count } = manifest.candidates
const maxWeight = Number(manifest.vote.boundSquared)
const out = await open(file, 'w')
const times: number[] = []
const cpuAtStart = process.cpuUsage()
for (let n = Number(from); n < Number(to); n++) {
  const identity = await clientIdentity(secretOf(n))
  const { indices, honest } = voteOf(n, count, maxWeight)
  const began = performance.now()
  const shares = shareVote(manifest, hash, { indices, steps: indices.map(() => 1n) })
  const sharded = performance.now()
  // A dishonest client moves its share after the proof was made.
  if (!honest) shares.leader[5] = (shares.leader[5] as number) ^ 4
  const report = await sealReport(manifest, hash, shares, { keys, identity, now: Date.now() })
  times.push(sharded - began, performance.now() - sharded)
  await out.write(report)
}
await out.close()
const { user, system } = process.cpuUsage(cpuAtStart)
const shards = times.filter((_, i) => i % 2 === 0).sort((a, b) => a - b)
process.stdout.write(
  `${JSON.stringify({ shardMs: shards[Math.floor(shards.length / 2)], cpuMs: (user + system) / 500 / times.length })}\n`,
)
