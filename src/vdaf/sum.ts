// Sums of shares and the way back (VDAF draft, sections 7.2.4 and 7.2.5).
import { decodeAggregateShare } from './codec.ts'
import { decode, type Vector } from './field.ts'
import type { Parameters } from './parameters.ts'

export function aggregate(parameters: Parameters, shares: readonly Vector[]): Vector {
  const { field, outputLength } = parameters.circuit
  return shares.reduce<Vector>(
    (sum, share) => field.add(sum, decodeAggregateShare(parameters, share)),
    new Uint8Array(outputLength * field.size),
  )
}

export function unshard<Result>(
  parameters: Parameters<never, Result>,
  aggregateShares: readonly Uint8Array[],
  count: number,
): Result {
  if (aggregateShares.length !== parameters.shares)
    throw new RangeError(`expected ${parameters.shares} aggregate shares, got ${aggregateShares.length}`)
  const { circuit } = parameters
  return circuit.decode(decode(circuit.field, aggregate(parameters, aggregateShares)), count)
}
