// The vote of two-server mode: at most `maxWeight` ones among `length` candidates, proven so to both operators and seen by
// neither. Prio3MultihotCountVec (VDAF draft, section 7.4.5) with what a release needs on top: a chunk length that makes
// the report smallest, noise added to a share, signed sums, and the soundness error said.
import { wireLength } from './circuit.ts'
import { decodeAggregateShare } from './codec.ts'
import { decode, encode, type Vector } from './field.ts'
import { DEGREE } from './gadget.ts'
import { prio3MultihotCountVec, prio3MultihotCountVecWithMultiproof } from './instances.ts'
import type { Prio3 } from './prio3.ts'
import { type Soundness, soundness } from './soundness.ts'

export interface MultihotVdafOptions {
  /** Candidates. */
  readonly length: number
  /** The largest number of votes of one client: L1 <= maxWeight and L2 <= sqrt(maxWeight) are proven. */
  readonly maxWeight: number
  /** A choice of the proof's shape that both sides must share; by default the one with the smallest report. */
  readonly chunkLength?: number
  /** Three proofs over Field64 in place of one over Field128: 0.6 of the bytes and a smaller error. Off by default: its
   * algorithm identifier is one for private use. */
  readonly multiproof?: boolean
}

export interface MultihotVdaf
  extends Omit<Prio3<ArrayLike<number | boolean>, bigint[]>, 'unshard' | 'parameters'> {
  /** Says algorithm and parameters. Prio3 itself does not bind them: put this in the context or the sealed envelope. */
  readonly description: string
  readonly length: number
  readonly maxWeight: number
  readonly chunkLength: number
  readonly soundness: Soundness
  /** A new aggregate share: `share` plus integers, negative ones too. This is how an aggregator adds its noise. */
  addIntegers(share: Vector, integers: ArrayLike<number | bigint>): Vector
  /** The exact sums of `count` reports. For an aggregator's own checks and tests: a release takes `unshardNoisy`. */
  unshard(aggregateShares: readonly Uint8Array[], count: number): number[]
  /**
   * The sums with what `addIntegers` added, as signed integers; what is beyond a safe integer is cut. Nothing is refused: a
   * sum that was looked at before all noise is in would tell an aggregator who moved its share on which side it lies.
   */
  unshardNoisy(aggregateShares: readonly Uint8Array[]): number[]
}

export function multihotVdaf(options: MultihotVdafOptions): MultihotVdaf {
  const { length, maxWeight, multiproof = false } = options
  const chunkLength = options.chunkLength ?? smallestChunk(length + bitsOf(maxWeight))
  const { parameters, ...vdaf } = (multiproof ? prio3MultihotCountVecWithMultiproof : prio3MultihotCountVec)({
    length,
    maxWeight,
    chunkLength,
  })
  const { field } = parameters.circuit
  const sumOf = (shares: readonly Uint8Array[]): bigint[] => {
    if (shares.length !== parameters.shares)
      throw new RangeError(`expected ${parameters.shares} aggregate shares, got ${shares.length}`)
    return decode(field, vdaf.aggregate(shares))
  }
  return {
    ...vdaf,
    description:
      `Prio3MultihotCountVec${multiproof ? 'WithMultiproof' : ''}(${field.name}, proofs ${parameters.proofs}, ` +
      `length ${length}, maxWeight ${maxWeight}, chunkLength ${chunkLength})`,
    length,
    maxWeight,
    chunkLength,
    soundness: soundness(parameters),
    addIntegers(share, integers) {
      if (integers.length !== length)
        throw new RangeError(`expected ${length} integers, got ${integers.length}`)
      return field.add(decodeAggregateShare(parameters, share), encode(field, Array.from(integers)))
    },
    unshard(shares, count) {
      const sums = sumOf(shares)
      if (sums.some((value) => value > BigInt(count))) {
        throw new RangeError(
          `expected every sum to be from 0 to ${count}, got one outside: the aggregate shares are not of the same reports`,
        )
      }
      return sums.map(Number)
    },
    unshardNoisy(shares) {
      const half = field.modulus / 2n
      const signed = sumOf(shares).map((value) => (value > half ? value - field.modulus : value))
      return signed.map((value) => {
        const most = Number.MAX_SAFE_INTEGER
        return Math.max(-most, Math.min(most, Number(value)))
      })
    },
  }
}

function bitsOf(weight: number): number {
  return Math.floor(Math.log2(weight)) + 1
}

/** The chunk length with the shortest proof for `length` elements: for each power of two p, as many calls as fit. */
export function smallestChunk(length: number): number {
  let best = { chunk: length, proof: Number.POSITIVE_INFINITY }
  for (let p = 2; p / 2 <= length; p *= 2) {
    const chunk = Math.ceil(length / (p - 1))
    const proof = 2 * chunk + DEGREE * (wireLength(Math.ceil(length / chunk)) - 1) + 1
    if (proof < best.proof) best = { chunk, proof }
  }
  return best.chunk
}
