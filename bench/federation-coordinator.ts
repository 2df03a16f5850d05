// What the federation's benchmarks share: many enrolled clients, a coordinator in a process of its own, signed votes.
import { spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { sha256Hex, toBase64Url } from '../src/federation/protocol/bytes.ts'
import { PROTOCOL } from '../src/federation/protocol/manifest.ts'
import { BODY_HEADER, signedBytes } from '../src/federation/protocol/signing.ts'
import { PROTOCOL_HEADER } from '../src/federation/protocol/version.ts'
import { sqlStore } from '../src/federation/stores/sql-store.ts'

export interface BenchClient {
  readonly key: KeyObject
  readonly client: string
}

/** New clients in a new store, which is closed again. */
export async function enrol(database: Parameters<typeof sqlStore>[0], count: number): Promise<BenchClient[]> {
  await sqlStore(database)
  const identities = Array.from({ length: count }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))
    return { key: privateKey, publicKey: raw, client: createHash('sha256').update(raw).digest('hex') }
  })
  for (let i = 0; i < count; i += 1000) {
    await database.write(
      identities.slice(i, i + 1000).map(({ client, publicKey }) => ({
        sql: 'INSERT INTO clients (client, public_key, enrolled) VALUES (?, ?, 0)',
        args: [client, publicKey],
      })),
    )
  }
  await database.close()
  return identities
}

/** A coordinator on the store, once it answers; `ask` sends it a line and reads its answer. */
export async function startCoordinator(place: string, candidates: number) {
  const program = join(import.meta.dirname, '../test/federation/coordinator-child.ts')
  const child = spawn(process.execPath, ['--import', 'tsx', program, place, '0', String(candidates)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async () => JSON.parse((await lines.next()).value as string)
  const ask = (line: string) => {
    child.stdin.write(`${line}\n`)
    return answer()
  }
  const opened: { url: string; hash: string; task: string } = await answer()
  return { child, ask, ...opened }
}

/** Headers of one upload; every call has a nonce of its own. */
export function signedHeaders({ key, client }: BenchClient, task: string, path: string, body: Uint8Array) {
  const nonce = toBase64Url(randomBytes(16))
  const time = Date.now()
  const signature = sign(null, signedBytes({ task, method: 'PUT', path, body, time, nonce }), key)
  return {
    authorization: `Pretext client=${client},time=${time},nonce=${nonce},signature=${toBase64Url(signature)}`,
    [BODY_HEADER]: sha256Hex(body),
    [PROTOCOL_HEADER]: PROTOCOL,
    'content-length': body.length,
  }
}
