// Signed requests: Ed25519 over task, method, path, sha256 of the body, time and nonce. Nothing of a request can be
// changed or used again, and a signature for one task is worth nothing in another.
//
//   Authorization: Pretext client=<64 hex>,time=<ms>,nonce=<22 base64url>,signature=<86 base64url>
import { ed25519 } from '@noble/curves/ed25519.js'
import { fromBase64Url, fromUtf8, sha256Hex, toBase64Url, utf8 } from './bytes.ts'
import { PROTOCOL } from './manifest.ts'

/** A signature holds for so long before and after its time. */
export const SIGNATURE_WINDOW_MS = 300_000

export interface SignedParts {
  readonly task: string
  readonly method: string
  /** Path and query as sent. */
  readonly path: string
  readonly body: Uint8Array
  readonly time: number
  readonly nonce: string
  /** The version that whoever signed speaks; by default the one that is spoken here. */
  readonly protocol?: string
}

export interface Authorization {
  readonly client: string
  readonly time: number
  readonly nonce: string
  readonly signature: Uint8Array
}

/** A request of whose body only the sha256 is known. */
type HashedParts = Omit<SignedParts, 'body'>

/** The bytes under a signature. */
export function signedBytes(parts: SignedParts): Uint8Array
export function signedBytes(parts: HashedParts, bodySha256: string): Uint8Array
export function signedBytes(
  parts: HashedParts & { readonly body?: Uint8Array },
  bodySha256: string = sha256Hex(parts.body as Uint8Array),
): Uint8Array {
  const { protocol = PROTOCOL, task, method, path, time, nonce } = parts
  return utf8([protocol, task, method, path, bodySha256, time, nonce].join('\n'))
}

/** A client is named by its key. */
export function clientIdOf(publicKey: Uint8Array): string {
  return sha256Hex(publicKey)
}

export interface Identity {
  readonly secretKey: Uint8Array
  readonly publicKey: Uint8Array
  readonly client: string
}

export function identityFrom(secretKey: Uint8Array): Identity {
  const publicKey = ed25519.getPublicKey(secretKey)
  return { secretKey, publicKey, client: clientIdOf(publicKey) }
}

/** The Authorization header of a request. */
export function signRequest(identity: Identity, parts: SignedParts): string {
  return authorization(identity.client, parts, ed25519.sign(signedBytes(parts), identity.secretKey))
}

/** The header with a signature over `signedBytes(parts)`. */
export function authorization(
  client: string,
  { time, nonce }: Pick<SignedParts, 'time' | 'nonce'>,
  signature: Uint8Array,
): string {
  return `Pretext client=${client},time=${time},nonce=${nonce},signature=${toBase64Url(signature)}`
}

const HEADER = /^Pretext client=([0-9a-f]{64}),time=(\d{1,15}),nonce=([\w-]{22}),signature=([\w-]{86})$/

/** Undefined where the header is missing or of another form. */
export function parseAuthorization(header: string | undefined): Authorization | undefined {
  const match = HEADER.exec(header ?? '')
  if (match === null) return undefined
  const [, client = '', time = '', nonce = '', encoded = ''] = match
  const signature = fromBase64Url(encoded)
  if (signature === undefined || fromBase64Url(nonce) === undefined) return undefined
  return { client, time: Number(time), nonce, signature }
}

/** What stands for the task under the requests of a leader: the helper that they are for. */
export function helperName(identity: string): string {
  return sha256Hex(utf8(identity)).slice(0, 32)
}

/** Header of every signed request: the sha256 of its body, in hex. So no body is read for who did not sign it. */
export const BODY_HEADER = 'pretext-body'

/** Header of an answer of the helper: its signature over `answerBytes`. */
export const SIGNATURE_HEADER = 'pretext-signature'

/** A request as far as an answer is bound to it. */
export interface AskedWith {
  /** Its header: whoever sends the same under another signature, or name, hears something else. */
  readonly authorization: string
  readonly signed: Uint8Array
}

/** What the helper signs of an answer: it holds for one request alone, as it was signed. */
export function answerBytes(asked: AskedWith, status: number, body: Uint8Array): Uint8Array {
  return utf8(['answer', status, sha256Hex(body), asked.authorization, fromUtf8(asked.signed)].join('\n'))
}
