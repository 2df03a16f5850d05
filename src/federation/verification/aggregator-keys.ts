// An aggregator's own keys, in a file that it makes itself, for its owner alone: who it is, and the keys that votes are
// sealed to. Rotation puts a new sealing key in front; the one before it is taken for a while, and its secret is kept until
// every report under it must have been opened.
import { createPrivateKey, diffieHellman, hkdfSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { z } from 'zod'
import { readIfThere, writeDurable } from '../../durable.ts'
import { PretextError } from '../../errors.ts'
import { takeLock } from '../../lock.ts'
import {
  type AggregatorIdentity,
  identityText,
  keyIdOf,
  parseIdentity,
  type SealingKeys,
  signedKeysBytes,
} from '../protocol/aggregator.ts'
import { fromBase64Url, toBase64Url, utf8 } from '../protocol/bytes.ts'
import { PROTOCOL } from '../protocol/manifest.ts'
import { clientIdOf } from '../protocol/signing.ts'
import { type OpeningKey, x25519Public, x25519Secret } from './open-sealed.ts'

const Secret = z.string().length(43)
const KeyFile = z.strictObject({
  format: z.literal('pretext-aggregator'),
  version: z.literal(1),
  signing: Secret,
  agreement: Secret,
  /** The newest first. */
  sealing: z.array(z.strictObject({ secret: Secret, created: z.int(), expires: z.int().nullable() })).min(1),
})
type KeyFile = z.infer<typeof KeyFile>

const DAY_MS = 86_400_000
/**
 * A signature over sealing keys holds so long: clients who have not seen the next key can be kept at this one no longer, and
 * the helper can be away no longer while clients vote.
 */
const SIGNED_MS = DAY_MS / 4
/** After a key expires for uploads its secret is kept so long, for rounds that were open then. */
const SECRET_KEPT_MS = 7 * DAY_MS

export interface AggregatorKeys {
  readonly identity: AggregatorIdentity
  /** Name under which it signs requests: the sha256 of its Ed25519 key. */
  readonly client: string
  sign(bytes: Uint8Array): Uint8Array
  /** Whether votes sealed to the key of this id are taken now. */
  takes(id: string, now: number): boolean
  /** The keys that votes may be sealed to now, signed. */
  sealingKeys(now: number): SealingKeys
  /** Every secret that a report may still be under, by key id; as bytes, for worker threads. */
  openingSecrets(now: number): ReadonlyMap<string, OpeningSecret>
  /** The verify key of a task: known to the two aggregators, and fixed before any report. */
  verifyKey(other: AggregatorIdentity, task: string): Uint8Array
}

export interface OpeningSecret {
  readonly secret: Uint8Array
  readonly publicKey: Uint8Array
}

export function openingKey({ secret, publicKey }: OpeningSecret): OpeningKey {
  return { secret: x25519Secret(secret, publicKey), publicKey }
}

/** Keys of a file, read again when it changes, so that a rotation needs no restart. */
export interface KeyRing {
  current(): Promise<AggregatorKeys>
}

export async function openKeyRing(file: string): Promise<KeyRing> {
  let held: { readonly seen: string; readonly keys: AggregatorKeys } | undefined
  const current = async (): Promise<AggregatorKeys> => {
    // Asked for with every upload, and a tenth of the work that way.
    const { mtimeMs, ino } = statSync(file)
    const seen = `${mtimeMs} ${ino}`
    if (held?.seen !== seen) held = { seen, keys: aggregatorKeys(await readKeyFile(file)) }
    return held.keys
  }
  if ((await readIfThere(file)) === undefined) await writeKeyFile(file, freshKeys(Date.now()))
  const { sealing } = await readKeyFile(file)
  if (sealing.some((key) => !mayBeNeeded(key, Date.now()))) await forgetOldSecrets(file, Date.now())
  await current()
  return { current }
}

/** Whether uploads under this key are taken. */
export function isTaken({ expires }: { readonly expires: number | null }, now: number): boolean {
  return expires === null || now < expires
}

/** Whether reports under this key may still have to be opened. */
function mayBeNeeded({ expires }: { readonly expires: number | null }, now: number): boolean {
  return expires === null || now < expires + SECRET_KEPT_MS
}

function forgetOldSecrets(file: string, now: number): Promise<void> {
  return changed(file, (sealing) => sealing.filter((key) => mayBeNeeded(key, now)))
}

/** One change at a time, whoever makes it. */
async function changed(
  file: string,
  change: (sealing: KeyFile['sealing']) => KeyFile['sealing'],
): Promise<void> {
  const unlock = await takeLock(dirname(file), basename(file))
  try {
    const keys = await readKeyFile(file)
    await writeKeyFile(file, { ...keys, sealing: change(keys.sealing) })
  } finally {
    await unlock()
  }
}

/** Puts a new sealing key in front; uploads under the old one are taken for `graceMs` more. */
export function rotateSealingKey(file: string, now: number, graceMs: number): Promise<void> {
  return changed(file, (sealing) => {
    const old = sealing.map((key) => ({ ...key, expires: key.expires ?? now + graceMs }))
    // Newer than the last, whatever this machine's clock does: clients go by it.
    const created = Math.max(now, ...sealing.map((key) => key.created + 1))
    return [freshSealing(created), ...old.filter((key) => mayBeNeeded(key, now))]
  })
}

function freshSealing(now: number): KeyFile['sealing'][number] {
  return { secret: toBase64Url(randomBytes(32)), created: now, expires: null }
}

function freshKeys(now: number): KeyFile {
  return {
    format: 'pretext-aggregator',
    version: 1,
    signing: toBase64Url(randomBytes(32)),
    agreement: toBase64Url(randomBytes(32)),
    sealing: [freshSealing(now)],
  }
}

const writeKeyFile = (file: string, keys: KeyFile) => writeDurable(file, `${JSON.stringify(keys)}\n`)

async function readKeyFile(file: string): Promise<KeyFile> {
  try {
    return KeyFile.parse(JSON.parse((await readIfThere(file)) ?? ''))
  } catch {
    // What came is never quoted: it is secret.
    throw new PretextError(`${file}: expected the keys of an aggregator, got something else`, {
      code: 'config',
      hint: 'restore the file; without it this aggregator is another one, and its identity must be exchanged anew',
    })
  }
}

function aggregatorKeys(file: KeyFile): AggregatorKeys {
  const signingSecret = secretOf(file.signing)
  const agreementSecret = secretOf(file.agreement)
  const signing = ed25519.getPublicKey(signingSecret)
  const agreement = x25519.getPublicKey(agreementSecret)
  const identity = parseIdentity(identityText(signing, agreement))
  const signer = ed25519Secret(signingSecret, signing)
  const own = x25519Secret(agreementSecret, agreement)
  const sealing = file.sealing.map(({ secret, created, expires }) => {
    const bytes = secretOf(secret)
    const publicKey = x25519.getPublicKey(bytes)
    return { id: keyIdOf(publicKey), secret: bytes, publicKey, created, expires }
  })
  const signed = (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, signer))
  const taken = (now: number) => sealing.filter((key) => isTaken(key, now))
  return {
    identity,
    client: clientIdOf(signing),
    sign: signed,
    takes: (id, now) => taken(now).some((key) => key.id === id),
    sealingKeys(now) {
      const keys = taken(now).map(({ secret: _, publicKey, ...key }) => ({
        ...key,
        publicKey: toBase64Url(publicKey),
      }))
      const content = { identity: identity.text, keys, until: now + SIGNED_MS }
      return { ...content, signature: toBase64Url(signed(signedKeysBytes(content))) }
    },
    openingSecrets(now) {
      const open = sealing.filter((key) => mayBeNeeded(key, now))
      return new Map(open.map(({ id, secret, publicKey }) => [id, { secret, publicKey }]))
    },
    verifyKey(other, task) {
      const shared = diffieHellman({ privateKey: own, publicKey: x25519Public(other.agreement) })
      // Both sides derive the same key, so the two identities stand in one order.
      const pair = [identity.text, other.text].sort().join('\n')
      return new Uint8Array(
        hkdfSync('sha256', shared, utf8(PROTOCOL), utf8(`verify key\n${task}\n${pair}`), 32),
      )
    },
  }
}

function ed25519Secret(secret: Uint8Array, publicKey: Uint8Array): KeyObject {
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: toBase64Url(secret), x: toBase64Url(publicKey) }
  return createPrivateKey({ key: jwk, format: 'jwk' })
}

function secretOf(text: string): Uint8Array {
  const bytes = fromBase64Url(text)
  if (bytes?.length !== 32) throw new RangeError('expected a key of 32 bytes')
  return bytes
}
