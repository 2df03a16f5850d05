// The sum of the votes before noise. It exists only inside the aggregator: it has no serialiser, prints as a
// placeholder, and the one function that reads it is addNoise (design rule 4.2).
//
// Why this is private: every vote is checked against the bound in integers before it is added, so the sensitivity is enforced
// here whatever clipped it, and integer addition commutes: the sum cannot tell in which order, or from which client, votes
// came (floating-point sums can, and their sensitivity is larger than it seems: Casacuberta et al., CCS 2022).
import { inspect } from 'node:util'
import type { NoiseOfEach } from '../privacy/two-parties.ts'
import type { VoteBound } from './bound.ts'
import { squaredNorm, type Vote } from './clip.ts'

const sums = new WeakMap<ExactVotes, BigInt64Array>()
const noiseInside = new WeakMap<ExactVotes, NoiseInside>()

/** The noise that a second server added before. */
export interface NoiseInside {
  /** Its standard deviation in grid steps: only told, never counted on. */
  readonly sigma: number
  /** How much of the noise each of the two adds. */
  readonly each: NoiseOfEach
  /** The sums with this noise as well, added where they lie in shares: without it they are not there to be looked at. */
  readonly plus: (noise: readonly bigint[]) => readonly number[]
}

export class ExactVotes {
  readonly candidates: number
  readonly bound: VoteBound
  /** Whether the texts behind the votes were declared free for experiments. */
  readonly simulation: boolean

  constructor(candidates: number, bound: VoteBound, simulation: boolean) {
    this.candidates = candidates
    this.bound = bound
    this.simulation = simulation
    sums.set(this, new BigInt64Array(candidates))
  }

  /** Adds one client's vote after checking it: the bound is enforced here, not taken on trust. */
  add(vote: Vote): void {
    const own = sums.get(this) as BigInt64Array
    if (vote.indices.length !== vote.steps.length)
      throw new RangeError('expected one number of steps per candidate')
    let previous = -1
    for (const [i, index] of vote.indices.entries()) {
      if (!(Number.isInteger(index) && index > previous && index < this.candidates)) {
        throw new RangeError(`expected ascending candidate indices below ${this.candidates}`)
      }
      if ((vote.steps[i] as bigint) < 0n) throw new RangeError('expected non-negative votes')
      previous = index
    }
    if (squaredNorm(vote) > this.bound.squared) throw new RangeError('the vote exceeds its L2 bound')
    for (const [i, index] of vote.indices.entries()) {
      own[index] = (own[index] as bigint) + (vote.steps[i] as bigint)
    }
  }

  toJSON(): string {
    return '[ExactVotes]'
  }
  toString(): string {
    return '[ExactVotes]'
  }
  [inspect.custom](): string {
    return '[ExactVotes]'
  }
}

/**
 * A sum whose votes nobody saw one by one, because a proof held each of them to the bound: what two servers put together
 * (federation/aggregation/two-server.ts alone; a test holds it). The second server's noise is in it already.
 */
export function provenVotes(bound: VoteBound, candidates: number, noise: NoiseInside): ExactVotes {
  const votes = new ExactVotes(candidates, bound, false)
  sums.delete(votes)
  noiseInside.set(votes, noise)
  return votes
}

/** Undefined for one server alone: no noise before, and all of it to add. */
export function noiseBefore(votes: ExactVotes): NoiseInside | undefined {
  return noiseInside.get(votes)
}

/** For addNoise alone (a test holds that nothing else imports it). */
export function exactSums(votes: ExactVotes): BigInt64Array {
  return sums.get(votes) as BigInt64Array
}
