// The only way from exact votes to something that may be seen: PrE-Text Algorithm 1, "+ N(0, sigma^2)", exactly.
//
// Why this is private: sigma >= noiseMultiplier x L2 sensitivity (rounded up, from public parameters alone), and the integer
// sum plus round(sigma Z) equals the rounding of the real-valued Gaussian mechanism (privacy/rounded-gaussian.ts), to which
// the tight analysis of Balle and Wang (ICML 2018) applies in any dimension. The noise is drawn before the sum is looked at,
// each candidate has its own draw, and no draw is used twice: two releases with equal noise would give the votes away.
import { PretextError } from '../errors.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import type { PrivateRandom } from '../privacy/private-random.ts'
import { rationalAtLeast, roundedGaussian } from '../privacy/rounded-gaussian.ts'
import { multiplierOfEach, type NoiseOfEach, SMALLEST_HALF_SIGMA } from '../privacy/two-parties.ts'
import { boundInVotes, type VoteBound } from './bound.ts'
import { type ExactVotes, exactSums, noiseBefore } from './exact-votes.ts'

declare const noisy: unique symbol

/** Votes with their noise: public. Made only by addNoise, or read back from a release. */
export interface NoisyHistogram {
  readonly [noisy]: true
  /** Noisy sum of each candidate, in grid steps. */
  readonly steps: readonly number[]
  /** Grid steps in one vote. */
  readonly gridSteps: number
  /** Standard deviation of all noise in grid steps; 0 only in a simulation without noise. */
  readonly sigma: number
}

/** Beyond this (in grid steps) the sampler's sigma and the released numbers would not be exact. */
const LARGEST_SIGMA = 2 ** 42

/** sigma in grid steps: never below noiseMultiplier x L2 sensitivity. */
export function sigmaInSteps(noiseMultiplier: number, sensitivityFactor: number, bound: VoteBound) {
  // Number(squared) is exact below 2^53 and within half a unit in the last place above; the factor covers both roundings.
  const bounded = Math.sqrt(Number(bound.squared)) * sensitivityFactor * noiseMultiplier * (1 + 2 ** -50)
  if (!(bounded < LARGEST_SIGMA)) {
    throw new PretextError(
      `expected noise below ${LARGEST_SIGMA / bound.steps} votes, got a noise multiplier of ${noiseMultiplier} on an L2 bound of ${boundInVotes(bound)} votes`,
      {
        code: 'config',
        hint: 'nothing was charged; use less noise, fewer texts per client or a smaller clip',
      },
    )
  }
  return rationalAtLeast(bounded)
}

/**
 * sigma of what one of two servers adds, in grid steps, where `noiseMultiplier` is promised to those who see the noise of both.
 * Throws PretextError `config` where halves would be too small to count together.
 */
export function sigmaOfEach(
  noiseMultiplier: number,
  sensitivityFactor: number,
  bound: VoteBound,
  each: NoiseOfEach,
) {
  const sigma = sigmaInSteps(multiplierOfEach(noiseMultiplier, each), sensitivityFactor, bound)
  const steps = Number(sigma.numerator) / Number(sigma.denominator)
  if (each === 'half' && !(steps >= SMALLEST_HALF_SIGMA)) {
    throw new PretextError(
      `expected halves of the noise of at least ${SMALLEST_HALF_SIGMA} steps each, got ${steps.toPrecision(4)}`,
      { code: 'config', hint: 'nothing was charged; set federation.noise: full' },
    )
  }
  return sigma
}

/**
 * Adds exact rounded Gaussian noise to every candidate's sum. The whole noise vector is drawn first, so that the time of
 * drawing tells nothing of the sum. `exact` (no noise) is refused unless the votes come from simulation texts.
 */
export function addNoise(
  votes: ExactVotes,
  mechanism: ReleaseEvent,
  sensitivityFactor: number,
  random: PrivateRandom,
): NoisyHistogram {
  const { candidates, bound } = votes
  if (mechanism.type === 'exact') {
    if (!votes.simulation) throw new Error('votes of private texts are never released without noise')
    return brand({ steps: Array.from(exactSums(votes), cut), gridSteps: bound.steps, sigma: 0 })
  }
  const before = noiseBefore(votes)
  const sigma = sigmaOfEach(mechanism.noiseMultiplier, sensitivityFactor, bound, before?.each ?? 'full')
  const noise = Array.from({ length: candidates }, () => roundedGaussian(sigma, random))
  const sums = exactSums(votes)
  return brand({
    steps: before?.plus(noise) ?? noise.map((z, i) => cut(z + (sums[i] as bigint))),
    gridSteps: bound.steps,
    sigma: Math.hypot(Number(sigma.numerator) / Number(sigma.denominator), before?.sigma ?? 0),
  })
}

const LARGEST = 2n ** 53n - 1n

/**
 * With its noise in, what is beyond a safe integer is cut, as it is between two servers: a release that could not be read back
 * would be drawn again under its charge, and that it failed would tell of the sum each time.
 */
function cut(value: bigint): number {
  return Number(value > LARGEST ? LARGEST : value < -LARGEST ? -LARGEST : value)
}

type Unbranded = Omit<NoisyHistogram, typeof noisy>

function brand(histogram: Unbranded): NoisyHistogram {
  return histogram as NoisyHistogram
}

/** A released histogram, read back from its file; the file was written from a NoisyHistogram. */
export function noisyHistogramFrom(released: Unbranded): NoisyHistogram {
  return brand({ steps: released.steps, gridSteps: released.gridSteps, sigma: released.sigma })
}

/** Noisy votes of each candidate, in votes. */
export function noisyVotes(histogram: NoisyHistogram): Float64Array {
  return Float64Array.from(histogram.steps, (value) => value / histogram.gridSteps)
}
