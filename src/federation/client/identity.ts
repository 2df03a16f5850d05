// Who a client is to a coordinator: an Ed25519 key of its own for each task. Signed by Web Crypto where it has Ed25519,
// else in JavaScript; both give the same bytes (RFC 8032 signatures are deterministic).
import { ed25519 } from '@noble/curves/ed25519.js'
import { fromBase64Url } from '../protocol/bytes.ts'
import { clientIdOf } from '../protocol/signing.ts'

type Subtle = typeof globalThis.crypto.subtle

export interface ClientIdentity {
  readonly client: string
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

/** RFC 8410: what stands before the 32 bytes of a private key in PKCS #8. */
const PKCS8_HEAD = Uint8Array.of(48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32)

/** `subtle` is null where there is no Web Crypto: in pages without TLS, and in tests of the JavaScript half. */
export async function clientIdentity(
  secretKey: Uint8Array,
  subtle: Subtle | null = globalThis.crypto.subtle ?? null,
): Promise<ClientIdentity> {
  return (await webIdentity(secretKey, subtle)) ?? scriptIdentity(secretKey)
}

function scriptIdentity(secretKey: Uint8Array): ClientIdentity {
  const publicKey = ed25519.getPublicKey(secretKey)
  return {
    client: clientIdOf(publicKey),
    publicKey,
    sign: async (bytes) => ed25519.sign(bytes, secretKey),
  }
}

/** Undefined where this browser has no Ed25519. */
async function webIdentity(
  secretKey: Uint8Array,
  subtle: Subtle | null,
): Promise<ClientIdentity | undefined> {
  if (subtle === null) return undefined
  const pkcs8 = new Uint8Array([...PKCS8_HEAD, ...secretKey])
  try {
    const key = await subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign'])
    const { x = '' } = await subtle.exportKey('jwk', key)
    const publicKey = fromBase64Url(x)
    if (publicKey?.length !== 32) return undefined
    return {
      client: clientIdOf(publicKey),
      publicKey,
      sign: async (bytes) => new Uint8Array(await subtle.sign('Ed25519', key, new Uint8Array(bytes))),
    }
  } catch {
    return undefined
  }
}
