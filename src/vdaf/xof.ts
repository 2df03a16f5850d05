// XofTurboShake128 of the VDAF draft (sections 6.2 and 6.2.1): seeds and field vectors from a seed, a domain separation tag and
// a binder. TurboSHAKE128 (RFC 9861) is @noble/hashes'.
import { turboshake128 } from '@noble/hashes/sha3-addons.js'
import { concat, type Field, type Vector } from './field.ts'

export const SEED_SIZE = 32

/** What a value is drawn for (section 7.2). */
export const USAGE = {
  measurementShare: 1,
  proofShare: 2,
  jointRandomness: 3,
  proveRandomness: 4,
  queryRandomness: 5,
  jointRandSeed: 6,
  jointRandPart: 7,
} as const

/** The tag of a usage (section 6.2.3): version 18 of the wire format, class 0 (VDAF), algorithm, usage, application context. */
export function domainTag(algorithm: number, usage: number, context: Uint8Array): Uint8Array {
  if (context.length > 65527)
    throw new RangeError(`expected a context of at most 65527 bytes, got ${context.length}`)
  const tag = new Uint8Array(8 + context.length)
  const view = new DataView(tag.buffer)
  view.setUint8(0, 18)
  view.setUint32(2, algorithm)
  view.setUint16(6, usage)
  tag.set(context, 8)
  return tag
}

export interface XofInput {
  readonly seed: Uint8Array
  readonly tag: Uint8Array
  readonly binder: Uint8Array
}

function absorbed({ seed, tag, binder }: XofInput) {
  const lengths = Uint8Array.of(tag.length & 255, tag.length >> 8)
  // One message: the hash takes whole words where it is fed in one piece.
  const message = concat(lengths, tag, Uint8Array.of(seed.length), seed, binder)
  return turboshake128.create({ D: 1 }).update(message)
}

export function deriveSeed(input: XofInput): Uint8Array {
  return absorbed(input).xof(SEED_SIZE)
}

export function expandIntoVector(field: Field, length: number, input: XofInput): Vector {
  const xof = absorbed(input)
  return sampleVector(field, length, (bytes) => xof.xof(bytes))
}

/** The next `length` elements of a stream; what is not below the modulus is skipped (2^-32 or 2^-59 of the draws). */
export function sampleVector(field: Field, length: number, next: (bytes: number) => Uint8Array): Vector {
  const out = next(length * field.size)
  if (field.isCanonical(out)) return out
  let kept = 0
  for (let at = 0; kept < length; at++) {
    const element = at < length ? out.slice(at * field.size, (at + 1) * field.size) : next(field.size)
    if (field.isCanonical(element)) out.set(element, field.size * kept++)
  }
  return out
}
