// What senders that nobody knows make a coordinator hold, a connection each: npx tsx bench/federation-strangers.ts. Headers that do
// not end, votes whose bodies do not, enrolments that do not; more connections than are let in (coordinator/server.ts).
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { MOST_CONNECTIONS } from '../src/federation/coordinator/server.ts'
import { PROTOCOL } from '../src/federation/protocol/manifest.ts'
import { BODY_HEADER } from '../src/federation/protocol/signing.ts'
import { PROTOCOL_HEADER } from '../src/federation/protocol/version.ts'
import { startCoordinator } from './federation-coordinator.ts'

const place = join(await mkdtemp(join(tmpdir(), 'strangers-')), 'store.db')
const { child, ask, url, hash } = await startCoordinator(place, 16_384)
const { hostname, port } = new URL(url)
const usage = async () => ((await ask('usage')) as { rssBytes: number }).rssBytes

const begun = (line: string, type: string, length: number, sent: number) =>
  [
    `${line} HTTP/1.1`,
    'host: x',
    `${PROTOCOL_HEADER}: ${PROTOCOL}`,
    `${BODY_HEADER}: ${'a'.repeat(64)}`,
    `authorization: Pretext client=${'a'.repeat(64)},time=${Date.now()},nonce=${'A'.repeat(22)},signature=${'A'.repeat(86)}`,
    `content-type: application/${type}`,
    `content-length: ${length}`,
    '',
    'x'.repeat(sent),
  ].join('\r\n')
const kinds = {
  'headers of 15 kB that do not end': () => `GET /v1/task HTTP/1.1\r\nx-a: ${'b'.repeat(15_000)}\r\n`,
  'votes of strangers, 100 of 110 kB sent': () =>
    begun(`PUT /v1/rounds/${hash}/vote`, 'octet-stream', 110_000, 100_000),
  'enrolments, 4,000 of 4,096 bytes sent': () => begun('POST /v1/clients', 'json', 4096, 4000),
}
for (const [kind, text] of Object.entries(kinds)) {
  const before = await usage()
  const sockets = Array.from({ length: MOST_CONNECTIONS + 250 }, () => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(text())
    return socket
  })
  let most = before
  for (let i = 0; i < 12; i++) {
    await wait(300)
    most = Math.max(most, await usage())
  }
  const each = (most - before) / MOST_CONNECTIONS / 1000
  console.log(
    `${kind}: ${(before / 1e6).toFixed(0)} MB before, ${(most / 1e6).toFixed(0)} MB at most, ${each.toFixed(1)} kB a connection`,
  )
  for (const socket of sockets) socket.destroy()
  await wait(1000)
}
child.kill()
