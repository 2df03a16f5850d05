// Opens what a client sealed to this aggregator: HPKE (RFC 9180) in base mode, single shot, with DHKEM(X25519, HKDF-SHA256),
// HKDF-SHA256 and AES-128-GCM, by the operating library of Node. Clients seal with @hpke/core, which opens as well but takes
// ten times as long, and an aggregator opens thousands at once; a test holds the two against each other.
import {
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto'
import { toBase64Url, utf8 } from '../protocol/bytes.ts'

/** A recipient's X25519 key, ready for use. */
export interface OpeningKey {
  readonly secret: KeyObject
  readonly publicKey: Uint8Array
}

export function x25519Secret(secret: Uint8Array, publicKey: Uint8Array): KeyObject {
  const jwk = { kty: 'OKP', crv: 'X25519', d: toBase64Url(secret), x: toBase64Url(publicKey) }
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

export function x25519Public(publicKey: Uint8Array): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: toBase64Url(publicKey) }, format: 'jwk' })
}

const ENCAPSULATED = 32
const TAG = 16
const KEM_SUITE = Uint8Array.of(75, 69, 77, 0, 32)
const HPKE_SUITE = Uint8Array.of(72, 80, 75, 69, 0, 32, 0, 1, 0, 1)
const VERSION = utf8('HPKE-v1')
const NONE = new Uint8Array(0)

/** The plaintext, or undefined where the box was not sealed to this key with these `info` and `aad`. */
export function openSealed(
  key: OpeningKey,
  box: Uint8Array,
  { info, aad }: { readonly info: Uint8Array; readonly aad: Uint8Array },
): Uint8Array | undefined {
  if (box.length < ENCAPSULATED + TAG) return undefined
  const enc = box.subarray(0, ENCAPSULATED)
  let shared: Uint8Array
  try {
    // A point of small order gives zero, which Node refuses.
    shared = diffieHellman({ privateKey: key.secret, publicKey: x25519Public(enc) })
  } catch {
    return undefined
  }
  const context = Buffer.concat([enc, key.publicKey])
  const prk = extract(KEM_SUITE, NONE, 'eae_prk', shared)
  const secret = expand(KEM_SUITE, prk, 'shared_secret', context, 32)
  const schedule = Buffer.concat([
    Uint8Array.of(0),
    extract(HPKE_SUITE, NONE, 'psk_id_hash', NONE),
    extract(HPKE_SUITE, NONE, 'info_hash', info),
  ])
  const root = extract(HPKE_SUITE, secret, 'secret', NONE)
  const cipher = createDecipheriv(
    'aes-128-gcm',
    expand(HPKE_SUITE, root, 'key', schedule, 16),
    expand(HPKE_SUITE, root, 'base_nonce', schedule, 12),
  )
  cipher.setAAD(aad)
  cipher.setAuthTag(box.subarray(box.length - TAG))
  try {
    const plain = cipher.update(box.subarray(ENCAPSULATED, box.length - TAG))
    cipher.final()
    return new Uint8Array(plain)
  } catch {
    return undefined
  }
}

function extract(suite: Uint8Array, salt: Uint8Array, label: string, input: Uint8Array): Buffer {
  return createHmac('sha256', salt)
    .update(Buffer.concat([VERSION, suite, utf8(label), input]))
    .digest()
}

/** One block: nothing longer than 32 bytes is derived. */
function expand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, size: number): Buffer {
  return createHmac('sha256', prk)
    .update(Buffer.concat([Uint8Array.of(0, size), VERSION, suite, utf8(label), info, Uint8Array.of(1)]))
    .digest()
    .subarray(0, size)
}
