// Who an aggregator is, and which keys votes are sealed to. An identity is one string that operators tell each other: an
// Ed25519 key that signs its requests, its answers and its sealing keys, and an X25519 key from which the two of them derive
// the verify key of a task (docs/protocol.md).
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import * as z from 'zod/mini'
import { PretextError } from '../../errors.ts'
import { fromBase64Url, sha256Hex, toBase64Url, utf8 } from './bytes.ts'
import { PROTOCOL, Time } from './manifest.ts'

const CHECK_BYTES = 4

export interface AggregatorIdentity {
  /** As operators tell it each other. */
  readonly text: string
  /** Ed25519 and X25519 public keys. */
  readonly signing: Uint8Array
  readonly agreement: Uint8Array
}

export function identityText(signing: Uint8Array, agreement: Uint8Array): string {
  const keys = new Uint8Array([...signing, ...agreement])
  return `ptx1_${toBase64Url(new Uint8Array([...keys, ...sha256(keys).subarray(0, CHECK_BYTES)]))}`
}

/** Throws PretextError `config` where the text is not an identity, whole and as it was printed. */
export function parseIdentity(text: string): AggregatorIdentity {
  const bytes = text.startsWith('ptx1_') ? fromBase64Url(text.slice(5)) : undefined
  const [signing, agreement] = [bytes?.subarray(0, 32), bytes?.subarray(32, 64)]
  if (
    bytes?.length === 64 + CHECK_BYTES &&
    signing !== undefined &&
    agreement !== undefined &&
    identityText(signing, agreement) === text
  )
    return { text, signing, agreement }
  throw new PretextError(
    'expected the identity of an aggregator (ptx1_ and 91 characters), got something else',
    {
      code: 'config',
      hint: 'its operator prints it with "pretext helper CONFIG --identity" or "pretext serve CONFIG --identity"',
    },
  )
}

/** Sealing keys, the one to use first, signed by the identity that they belong to. */
export const SealingKeysSchema = z.strictObject({
  identity: z.string(),
  keys: z
    .array(
      z.strictObject({
        id: z.string().check(z.regex(/^[0-9a-f]{16}$/), z.describe('The first 8 bytes of its sha256')),
        publicKey: z.string().check(z.length(43), z.describe('X25519, 32 bytes')),
        created: Time.check(z.describe('Whoever saw a newer key refuses this one')),
        expires: z.nullable(Time).check(z.describe('Uploads under it are refused from then on')),
      }),
    )
    .check(z.minLength(1), z.maxLength(64)),
  until: Time.check(z.describe('The signature holds so long; ask again before')),
  signature: z.string().check(z.length(86)),
})

/** GET /v1/keys. */
export const KeysSchema = z.strictObject({ leader: SealingKeysSchema, helper: SealingKeysSchema })

export type SealingKeys = z.output<typeof SealingKeysSchema>
export type Keys = z.output<typeof KeysSchema>

export function signedKeysBytes({ identity, keys, until }: Omit<SealingKeys, 'signature'>): Uint8Array {
  const lines = keys.map(({ id, publicKey, created, expires }) => `${id} ${publicKey} ${created} ${expires}`)
  return utf8([PROTOCOL, 'sealing keys', identity, until, ...lines].join('\n'))
}

export function keyIdOf(publicKey: Uint8Array): string {
  return sha256Hex(publicKey).slice(0, 16)
}

export interface SealingKey {
  readonly id: string
  readonly publicKey: Uint8Array
  readonly created: number
}

/**
 * The key to seal to. Throws PretextError `federation` where these are not fresh keys of that identity, or older than the
 * newest that was seen: a change of keys, after a theft say, cannot be hidden from whoever heard of it.
 */
export function sealingKey(
  keys: SealingKeys,
  expected: AggregatorIdentity,
  now: number,
  newest = 0,
): SealingKey {
  const [first] = keys.keys
  const publicKey = fromBase64Url(first?.publicKey ?? '')
  const signature = fromBase64Url(keys.signature)
  if (
    keys.identity === expected.text &&
    signature !== undefined &&
    publicKey !== undefined &&
    first?.id === keyIdOf(publicKey) &&
    now < keys.until &&
    ed25519.verify(signature, signedKeysBytes(keys), expected.signing)
  ) {
    if (first.created >= newest) return { id: first.id, publicKey, created: first.created }
    throw new PretextError('expected the newest sealing key of an aggregator, got one that it had replaced', {
      code: 'federation',
      hint: 'nothing was sent; where its key file was restored from an old copy, its operator must run it with --rotate-keys',
    })
  }
  throw new PretextError('expected keys that the aggregator of this round signed lately, got others', {
    code: 'federation',
    hint: 'nothing was sent; check the clock of this machine, or ask the operator of the coordinator',
  })
}
