// The aggregators' half of Prio3 (VDAF draft, section 7.2.2): one round of messages, after which either both hold an output
// share of a valid measurement or the report is refused. What an aggregator learns is one bit: valid or not.
import {
  decodeInputShare,
  decodePublicShare,
  decodeVerifierMessage,
  decodeVerifierShare,
  sizesOf,
  usesJointRand,
} from './codec.ts'
import { block, concat, type Vector } from './field.ts'
import { decide, flpLengths, query } from './flp.ts'
import { jointRandPart, jointRandSeed, jointRands } from './joint-randomness.ts'
import { NONCE_SIZE, type Parameters } from './parameters.ts'
import { rejected } from './rejection.ts'
import { exactBytes, helperMeasurement, helperProofs } from './shard.ts'
import { domainTag, expandIntoVector, USAGE } from './xof.ts'

export interface VerifyInput {
  /** Shared by the aggregators, fixed before any report, unknown to every client. */
  readonly verifyKey: Uint8Array
  readonly context: Uint8Array
  /** 0 for the leader, 1 and up for helpers. */
  readonly aggregator: number
  readonly nonce: Uint8Array
  readonly publicShare: Uint8Array
  readonly inputShare: Uint8Array
}

/** What an aggregator keeps, and tells nobody, until the verifier message comes. */
export interface VerifyState {
  readonly outputShare: Vector
  /** Empty without joint randomness. */
  readonly jointRandSeed: Uint8Array
}

export interface Verification {
  readonly state: VerifyState
  /** For whoever combines the shares. */
  readonly verifierShare: Uint8Array
}

export function verifyInit(parameters: Parameters, input: VerifyInput): Verification {
  const { id, circuit, shares, proofs } = parameters
  const { field } = circuit
  const { context, aggregator, nonce, verifyKey } = input
  if (!(Number.isInteger(aggregator) && aggregator >= 0 && aggregator < shares))
    throw new RangeError(`expected an aggregator from 0 to ${shares - 1}, got ${aggregator}`)
  exactBytes('nonce', nonce, NONCE_SIZE)
  exactBytes('verify key', verifyKey, sizesOf(parameters).verifyKey)
  const parts = decodePublicShare(parameters, input.publicShare)
  const share = decodeInputShare(parameters, aggregator, input.inputShare)
  const expanded =
    'seed' in share
      ? {
          measurement: helperMeasurement(parameters, context, aggregator, share.seed),
          proofs: helperProofs(parameters, context, aggregator, share.seed),
        }
      : share
  const { measurement } = expanded

  // The aggregator's own part replaces what the public share says of it; a lie comes out in verifyNext.
  const joint = usesJointRand(parameters)
  const { blind } = share
  const own = joint
    ? jointRandPart(parameters, { context, aggregator, blind, measurement, nonce })
    : new Uint8Array(0)
  const seed = joint ? jointRandSeed(parameters, context, parts.with(aggregator, own)) : new Uint8Array(0)
  const random = joint ? jointRands(parameters, context, seed) : new Uint8Array(0)

  const lengths = flpLengths(circuit)
  const queryRand = expandIntoVector(field, lengths.queryRand * proofs, {
    seed: verifyKey,
    tag: domainTag(id, USAGE.queryRandomness, context),
    binder: concat(Uint8Array.of(proofs), nonce),
  })
  const verifiers = Array.from({ length: proofs }, (_, i) =>
    query(circuit, {
      measurement,
      proof: block(field, expanded.proofs, i, lengths.proof),
      queryRand: block(field, queryRand, i, lengths.queryRand),
      jointRand: block(field, random, i, circuit.jointRandLength),
      shares,
    }),
  )
  return {
    state: { outputShare: circuit.truncate(measurement), jointRandSeed: seed },
    verifierShare: concat(...verifiers, own),
  }
}

/** Combines one verifier share of each aggregator, in their order; throws RejectedReport for an invalid measurement. */
export function verifierSharesToMessage(
  parameters: Parameters,
  context: Uint8Array,
  verifierShares: readonly Uint8Array[],
): Uint8Array {
  const { circuit, shares, proofs } = parameters
  if (verifierShares.length !== shares)
    throw new RangeError(`expected ${shares} verifier shares, got ${verifierShares.length}`)
  const decoded = verifierShares.map((share) => decodeVerifierShare(parameters, share))
  const verifiers = decoded
    .map((share) => share.verifiers)
    .reduce((sum, share) => circuit.field.add(sum, share))
  const length = flpLengths(circuit).verifier
  for (let i = 0; i < proofs; i++) {
    if (!decide(circuit, block(circuit.field, verifiers, i, length)))
      throw rejected('proof', 'the proof of this report does not hold')
  }
  if (!usesJointRand(parameters)) return new Uint8Array(0)
  return jointRandSeed(
    parameters,
    context,
    decoded.map((share) => share.jointRandPart),
  )
}

export function verifyNext(parameters: Parameters, state: VerifyState, message: Uint8Array): Vector {
  const seed = decodeVerifierMessage(parameters, message)
  let different = 0
  for (let i = 0; i < seed.length; i++) different |= (seed[i] ?? 0) ^ (state.jointRandSeed[i] ?? 0)
  if (different !== 0)
    throw rejected('joint-randomness', 'the public share of this report does not fit its input shares')
  return state.outputShare
}
