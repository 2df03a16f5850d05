// Prio3 of the VDAF draft, revision 20 (section 7.2; the wire format is that of revision 18). A client shards its measurement
// (shard.ts); each aggregator answers for its share (`verifyInit`), the answers are combined (`verifierSharesToMessage`), and
// each aggregator keeps its output share if the proof held (`verifyNext`). Every message is bytes; whatever arrives is decoded
// strictly (codec.ts). No function changes its arguments.
import { type Sizes, sizesOf } from './codec.ts'
import type { Vector } from './field.ts'
import type { Parameters } from './parameters.ts'
import { type Sharded, type ShardInput, shard } from './shard.ts'
import { aggregate, unshard } from './sum.ts'
import {
  type Verification,
  type VerifyInput,
  type VerifyState,
  verifierSharesToMessage,
  verifyInit,
  verifyNext,
} from './verify.ts'

export interface Prio3<Measurement, Result> {
  readonly parameters: Parameters<Measurement, Result>
  readonly sizes: Sizes
  shard(measurement: Measurement, input: ShardInput): Sharded
  verifyInit(input: VerifyInput): Verification
  verifierSharesToMessage(context: Uint8Array, verifierShares: readonly Uint8Array[]): Uint8Array
  /** The output share, for `aggregate`; throws RejectedReport when the message is not the expected one. */
  verifyNext(state: VerifyState, message: Uint8Array): Vector
  /** The sum of output shares, or of aggregate shares; without any, the share of an empty sum. */
  aggregate(shares: readonly Vector[]): Vector
  unshard(aggregateShares: readonly Uint8Array[], count: number): Result
}

export function prio3<Measurement, Result>(
  parameters: Parameters<Measurement, Result>,
): Prio3<Measurement, Result> {
  const { circuit, shares, proofs } = parameters
  for (const [name, value, least] of [
    ['shares', shares, 2],
    ['proofs', proofs, 1],
  ] as const) {
    if (!(Number.isInteger(value) && value >= least && value <= 255))
      throw new RangeError(`expected ${name} to be an integer from ${least} to 255, got ${value}`)
  }
  return {
    parameters,
    sizes: sizesOf(parameters),
    shard: (measurement, input) => shard(parameters, circuit.encode(measurement), input),
    verifyInit: (input) => verifyInit(parameters, input),
    verifierSharesToMessage: (context, verifierShares) =>
      verifierSharesToMessage(parameters, context, verifierShares),
    verifyNext: (state, message) => verifyNext(parameters, state, message),
    aggregate: (outputs) => aggregate(parameters, outputs),
    unshard: (aggregateShares, count) => unshard(parameters, aggregateShares, count),
  }
}
