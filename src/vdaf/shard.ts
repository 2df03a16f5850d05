// The client's half of Prio3 (VDAF draft, section 7.2.1): one measurement becomes a share for each aggregator and a proof that
// it is valid. Each share alone is uniformly random; helpers get theirs as a seed.
import { usesJointRand } from './codec.ts'
import { block, concat, type Vector } from './field.ts'
import { flpLengths, prove } from './flp.ts'
import { jointRandPart, jointRandSeed, jointRands } from './joint-randomness.ts'
import { NONCE_SIZE, type Parameters } from './parameters.ts'
import { domainTag, expandIntoVector, SEED_SIZE, USAGE } from './xof.ts'

export interface ShardInput {
  /** Binds the shares to an application, task and round; all aggregators must use the same. */
  readonly context: Uint8Array
  /** Public, unpredictable, never used for two reports. */
  readonly nonce: Uint8Array
  /** Secret random bytes, `sizes.rand` of them; by default from crypto.getRandomValues. */
  readonly rand?: Uint8Array
}

export interface Sharded {
  readonly publicShare: Uint8Array
  /** The leader's share, then the helpers'. */
  readonly inputShares: readonly Uint8Array[]
}

/** Shares an encoded measurement, valid or not: the proof fails if it is not. Prefer `Prio3.shard`. */
export function shard(parameters: Parameters, measurement: Vector, input: ShardInput): Sharded {
  const { circuit, shares, proofs } = parameters
  const { field } = circuit
  const { context, nonce } = input
  exactBytes('nonce', nonce, NONCE_SIZE)
  const joint = usesJointRand(parameters)
  const perAggregator = joint ? 2 : 1
  const rand = input.rand ?? crypto.getRandomValues(new Uint8Array(shares * perAggregator * SEED_SIZE))
  exactBytes('rand', rand, shares * perAggregator * SEED_SIZE)
  const seed = (i: number): Uint8Array => rand.slice(i * SEED_SIZE, (i + 1) * SEED_SIZE)
  // Helper by helper a share seed and, with joint randomness, a blind; then the leader's blind; then the prover's seed.
  const helpers = Array.from({ length: shares - 1 }, (_, i) => ({
    aggregator: i + 1,
    seed: seed(i * perAggregator),
    blind: joint ? seed(i * perAggregator + 1) : new Uint8Array(0),
  }))
  const proverSeed = seed(shares * perAggregator - 1)
  const leaderBlind = joint ? seed(shares * perAggregator - 2) : new Uint8Array(0)

  const helperMeasurements = helpers.map((helper) =>
    helperMeasurement(parameters, context, helper.aggregator, helper.seed),
  )
  const leaderMeasurement = helperMeasurements.reduce((rest, share) => field.sub(rest, share), measurement)
  const parts = joint
    ? [
        { aggregator: 0, blind: leaderBlind, measurement: leaderMeasurement },
        ...helpers.map((helper, i) => ({
          ...helper,
          measurement: helperMeasurements[i] ?? new Uint8Array(0),
        })),
      ].map((part) => jointRandPart(parameters, { ...part, context, nonce }))
    : []

  const lengths = flpLengths(circuit)
  const proveRand = expandIntoVector(field, lengths.proveRand * proofs, {
    seed: proverSeed,
    tag: domainTag(parameters.id, USAGE.proveRandomness, context),
    binder: Uint8Array.of(proofs),
  })
  const random = joint
    ? jointRands(parameters, context, jointRandSeed(parameters, context, parts))
    : new Uint8Array(0)
  const allProofs = Array.from({ length: proofs }, (_, i) =>
    prove(
      circuit,
      measurement,
      block(field, proveRand, i, lengths.proveRand),
      block(field, random, i, circuit.jointRandLength),
    ),
  )
  const leaderProofs = helpers.reduce(
    (rest, helper) => field.sub(rest, helperProofs(parameters, context, helper.aggregator, helper.seed)),
    concat(...allProofs),
  )
  return {
    publicShare: concat(...parts),
    inputShares: [
      concat(leaderMeasurement, leaderProofs, leaderBlind),
      ...helpers.map((helper) => concat(helper.seed, helper.blind)),
    ],
  }
}

export function helperMeasurement(
  { id, circuit }: Parameters,
  context: Uint8Array,
  aggregator: number,
  seed: Uint8Array,
): Vector {
  return expandIntoVector(circuit.field, circuit.measurementLength, {
    seed,
    tag: domainTag(id, USAGE.measurementShare, context),
    binder: Uint8Array.of(aggregator),
  })
}

export function helperProofs(
  { id, circuit, proofs }: Parameters,
  context: Uint8Array,
  aggregator: number,
  seed: Uint8Array,
): Vector {
  return expandIntoVector(circuit.field, flpLengths(circuit).proof * proofs, {
    seed,
    tag: domainTag(id, USAGE.proofShare, context),
    binder: Uint8Array.of(proofs, aggregator),
  })
}

export function exactBytes(name: string, bytes: Uint8Array, size: number): void {
  if (bytes.length !== size) throw new RangeError(`expected a ${name} of ${size} bytes, got ${bytes.length}`)
}
