// The messages of Prio3 as bytes (VDAF draft, section 7.2.7). Decoders are strict: the exact length, every field element below
// the modulus; anything else is a RejectedReport. What is decoded are views of the given bytes, never copies or changes.

import { slice, type Vector } from './field.ts'
import { flpLengths } from './flp.ts'
import type { Parameters } from './parameters.ts'
import { rejected } from './rejection.ts'
import { SEED_SIZE } from './xof.ts'

/** Bytes in each message. */
export interface Sizes {
  readonly verifyKey: number
  readonly rand: number
  readonly publicShare: number
  readonly leaderShare: number
  readonly helperShare: number
  readonly verifierShare: number
  readonly verifierMessage: number
  readonly aggregateShare: number
  /** What a client uploads: the public share and every input share, before encryption. */
  readonly upload: number
}

export function sizesOf(parameters: Parameters): Sizes {
  const { circuit, shares, proofs } = parameters
  const { size } = circuit.field
  const { proof, verifier } = flpLengths(circuit)
  const seed = usesJointRand(parameters) ? SEED_SIZE : 0
  const leaderShare = (circuit.measurementLength + proof * proofs) * size + seed
  const helperShare = SEED_SIZE + seed
  return {
    verifyKey: SEED_SIZE,
    rand: shares * (SEED_SIZE + seed),
    publicShare: shares * seed,
    leaderShare,
    helperShare,
    verifierShare: verifier * proofs * size + seed,
    verifierMessage: seed,
    aggregateShare: circuit.outputLength * size,
    upload: shares * seed + leaderShare + (shares - 1) * helperShare,
  }
}

export function usesJointRand({ circuit }: Parameters): boolean {
  return circuit.jointRandLength > 0
}

/** What a leader's share (aggregator 0) holds in full, and a helper's as a seed. */
export type InputShare =
  | { readonly measurement: Vector; readonly proofs: Vector; readonly blind: Uint8Array }
  | { readonly seed: Uint8Array; readonly blind: Uint8Array }

export function decodeInputShare(parameters: Parameters, aggregator: number, bytes: Uint8Array): InputShare {
  const { circuit, proofs } = parameters
  const sizes = sizesOf(parameters)
  if (aggregator > 0) {
    exactly('a helper input share', sizes.helperShare, bytes)
    return { seed: bytes.subarray(0, SEED_SIZE), blind: bytes.subarray(SEED_SIZE) }
  }
  exactly('a leader input share', sizes.leaderShare, bytes)
  const length = circuit.measurementLength
  const end = length + flpLengths(circuit).proof * proofs
  return {
    measurement: elements(parameters, 'the leader input share', slice(circuit.field, bytes, 0, length)),
    proofs: elements(parameters, 'the leader input share', slice(circuit.field, bytes, length, end)),
    blind: slice(circuit.field, bytes, end),
  }
}

/** One part for each aggregator; none without joint randomness. */
export function decodePublicShare(parameters: Parameters, bytes: Uint8Array): Uint8Array[] {
  exactly('a public share', sizesOf(parameters).publicShare, bytes)
  return Array.from({ length: bytes.length / SEED_SIZE }, (_, i) =>
    bytes.subarray(i * SEED_SIZE, (i + 1) * SEED_SIZE),
  )
}

export interface VerifierShare {
  readonly verifiers: Vector
  readonly jointRandPart: Uint8Array
}

export function decodeVerifierShare(parameters: Parameters, bytes: Uint8Array): VerifierShare {
  const { verifierShare, verifierMessage } = sizesOf(parameters)
  exactly('a verifier share', verifierShare, bytes)
  const end = verifierShare - verifierMessage
  return {
    verifiers: elements(parameters, 'the verifier share', bytes.subarray(0, end)),
    jointRandPart: bytes.subarray(end),
  }
}

export function decodeVerifierMessage(parameters: Parameters, bytes: Uint8Array): Uint8Array {
  return exactly('a verifier message', sizesOf(parameters).verifierMessage, bytes)
}

/** An aggregate share, or an output share, which has the same form. */
export function decodeAggregateShare(parameters: Parameters, bytes: Uint8Array): Vector {
  exactly('an aggregate share', sizesOf(parameters).aggregateShare, bytes)
  return elements(parameters, 'the aggregate share', bytes)
}

function exactly(what: string, size: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== size)
    throw rejected('malformed', `expected ${what} of ${size} bytes, got ${bytes.length}`)
  return bytes
}

function elements({ circuit }: Parameters, what: string, bytes: Uint8Array): Vector {
  if (!circuit.field.isCanonical(bytes)) {
    throw rejected(
      'malformed',
      `expected ${what} to hold elements of ${circuit.field.name}, got one at or above its modulus`,
    )
  }
  return bytes
}
