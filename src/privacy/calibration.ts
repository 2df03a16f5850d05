// From epsilon back to noise: the smallest noise multiplier that an accountant accepts, rounded toward privacy.
import { PretextError } from '../errors.ts'
import type { Accountant } from './accountant.ts'
import type { MechanismEvent } from './events.ts'
import { gaussianMu } from './gaussian.ts'
import { type Adjacency, checkDelta, checkEpsilon } from './units.ts'

export interface Target {
  readonly epsilon: number
  readonly delta: number
  /** add-remove if not given. */
  readonly adjacency?: Adjacency
}

/** The search stops when the noise is known to this relative width; the upper end, which was checked, is returned. */
const WIDTH = 1e-10
const LARGEST_NOISE = 1e9

/**
 * The smallest noise multiplier for which the accountant's epsilon of `events(noiseMultiplier)` is at most the target's.
 * The result was given to the accountant: its epsilon is never above the target. More noise must never cost more.
 * Throws PretextError `config` if no noise below 1e9 reaches the target, or if the accountant refuses the events.
 */
export function calibrate(
  accountant: Pick<Accountant, 'epsilon'>,
  target: Target,
  events: (noiseMultiplier: number) => readonly MechanismEvent[],
): number {
  const { epsilon, delta, adjacency = 'add-remove' } = target
  checkEpsilon(epsilon)
  checkDelta(delta)
  const over = (noise: number): number => accountant.epsilon(events(noise), delta, adjacency) - epsilon
  let high = 1
  while (over(high) > 0) {
    high *= 2
    if (high > LARGEST_NOISE) {
      throw new PretextError(
        `no noise multiplier up to ${LARGEST_NOISE} reaches epsilon ${epsilon} at delta ${delta}`,
        {
          code: 'config',
          hint: 'ask for a larger epsilon or fewer releases',
        },
      )
    }
  }
  let low = high / 2
  while (over(low) <= 0) {
    high = low
    low /= 2
    // Epsilon Infinity, or a delta that costs nothing: any noise will do.
    if (low < 1e-6) return high
  }
  let overLow = over(low)
  let overHigh = over(high)
  // Regula falsi between the logarithms (Illinois), with a bisection where it is slow: a PLD costs a second each.
  for (let i = 0; high / low - 1 > WIDTH && i < 200; i++) {
    const share = i % 4 === 3 || !Number.isFinite(overLow) ? 0.5 : overLow / (overLow - overHigh)
    const ratio = Math.log(high / low)
    // Never so close to an end that the other one stays where it is for ever.
    const step = Math.min(1 - 1e-2, Math.max(1e-2, share))
    const middle = low * Math.exp(ratio * step)
    if (!(middle > low && middle < high)) break
    const value = over(middle)
    if (value > 0) {
      low = middle
      overLow = value
    } else {
      high = middle
      overHigh = value
    }
  }
  return high
}

/** The smallest noise multiplier with which `releases` equal Gaussian releases are (epsilon, delta)-DP, rounded up. */
export function calibrateNoise(epsilon: number, delta: number, releases: number): number {
  if (!(Number.isInteger(releases) && releases > 0)) {
    throw new PretextError(`the number of releases must be a positive integer, got ${releases}`, {
      code: 'config',
    })
  }
  return (Math.sqrt(releases) / gaussianMu(epsilon, delta)) * (1 + 1e-15)
}
