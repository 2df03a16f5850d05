// Joint randomness of Prio3 (VDAF draft, section 7.2.6): derived from what every aggregator holds, so that no client can choose
// its measurement by it. Each aggregator computes its own part; the public share brings those of the others.
import { concat, type Vector } from './field.ts'
import type { Parameters } from './parameters.ts'
import { deriveSeed, domainTag, expandIntoVector, SEED_SIZE, USAGE } from './xof.ts'

export interface PartInput {
  readonly context: Uint8Array
  readonly aggregator: number
  readonly blind: Uint8Array
  readonly measurement: Vector
  readonly nonce: Uint8Array
}

export function jointRandPart({ id }: Parameters, input: PartInput): Uint8Array {
  return deriveSeed({
    seed: input.blind,
    tag: domainTag(id, USAGE.jointRandPart, input.context),
    binder: concat(Uint8Array.of(input.aggregator), input.nonce, input.measurement),
  })
}

export function jointRandSeed(
  { id }: Parameters,
  context: Uint8Array,
  parts: readonly Uint8Array[],
): Uint8Array {
  return deriveSeed({
    seed: new Uint8Array(SEED_SIZE),
    tag: domainTag(id, USAGE.jointRandSeed, context),
    binder: concat(...parts),
  })
}

/** The joint randomness of all proofs. */
export function jointRands(
  { id, circuit, proofs }: Parameters,
  context: Uint8Array,
  seed: Uint8Array,
): Vector {
  return expandIntoVector(circuit.field, circuit.jointRandLength * proofs, {
    seed,
    tag: domainTag(id, USAGE.jointRandomness, context),
    binder: Uint8Array.of(proofs),
  })
}
