// Who sent this request: the signature is checked against the key that enrolled, over everything that was sent. The body
// stands in it by its hash, which a header tells, so all of this is known before a byte of the body is read. What the headers
// cannot say is whether the body that follows has that hash: whoever reads it compares (`isSigned`). Nor is the nonce used up
// here: that belongs into the transaction that the request causes, or a copy with a spoiled body would keep the client's own out.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { toBase64Url } from '../protocol/bytes.ts'
import {
  type Authorization,
  parseAuthorization,
  SIGNATURE_WINDOW_MS,
  signedBytes,
} from '../protocol/signing.ts'
import type { Store } from '../stores/store.ts'
import { Refusal } from './refusal.ts'

/** What the headers say. */
export interface SignedHead {
  readonly authorization: string | undefined
  /** sha256 of the body, in hex. */
  readonly bodySha256: string | undefined
  readonly method: string
  readonly path: string
}

export interface Authenticated extends Authorization {
  readonly bodySha256: string
}

const KEYS_HELD = 50_000

/** Checks signatures of one task. */
export function createAuthenticator(store: Store, task: string) {
  const keys = new Map<string, KeyObject>()

  /** Clients whose keys are asked for with the next look at the store: one look for all that have arrived meanwhile. */
  let asked = new Set<string>()
  let next: Promise<ReadonlyMap<string, Uint8Array>> | undefined
  const lookUp = (client: string): Promise<ReadonlyMap<string, Uint8Array>> => {
    asked.add(client)
    next ??= new Promise((resolve) => setImmediate(resolve)).then(() => {
      const clients = [...asked]
      asked = new Set()
      next = undefined
      return store.publicKeys(clients)
    })
    return next
  }

  const keyOf = async (client: string): Promise<KeyObject | undefined> => {
    const held = keys.get(client)
    if (held !== undefined) return held
    const raw = (await lookUp(client)).get(client)
    if (raw === undefined) return undefined
    const key = ed25519Key(raw)
    if (keys.size >= KEYS_HELD) keys.delete(keys.keys().next().value as string)
    if (key !== undefined) keys.set(client, key)
    return key
  }

  /** Throws Refusal. `publicKey` is given where the client is not enrolled yet. */
  return async (head: SignedHead, now: number, publicKey?: Uint8Array): Promise<Authenticated> => {
    const { client, time, nonce, signature, bodySha256 } = freshHead(head, now)
    const key = publicKey === undefined ? await keyOf(client) : ed25519Key(publicKey)
    if (key === undefined) throw new Refusal('unsigned')
    const { method, path } = head
    const signed = signedBytes({ task, method, path, time, nonce }, bodySha256)
    if (!verify(null, signed, key, signature)) throw new Refusal('unsigned')
    return { client, time, nonce, signature, bodySha256 }
  }
}

/** What can be asked of headers before the key is known. Throws Refusal. */
export function freshHead({ authorization: header, bodySha256 }: SignedHead, now: number): Authenticated {
  const authorization = parseAuthorization(header)
  if (authorization === undefined || bodySha256 === undefined || !/^[0-9a-f]{64}$/.test(bodySha256))
    throw new Refusal('unsigned')
  if (Math.abs(now - authorization.time) > SIGNATURE_WINDOW_MS) {
    throw new Refusal('expired', 'the signature’s time is more than 5 minutes off the coordinator’s clock')
  }
  return { ...authorization, bodySha256 }
}

/** Throws Refusal where this is not the body that was signed. */
export function isSigned(body: Uint8Array, { bodySha256 }: Pick<Authenticated, 'bodySha256'>): void {
  if (createHash('sha256').update(body).digest('hex') !== bodySha256)
    throw new Refusal('malformed', 'another body was signed')
}

function ed25519Key(raw: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(raw) }, format: 'jwk' })
  } catch {
    return undefined
  }
}
