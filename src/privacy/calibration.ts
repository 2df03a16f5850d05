// From epsilon back to noise: the smallest noise multiplier that an accountant accepts, rounded toward privacy.
import { PretextError } from '../errors.ts'
import type { Accountant } from './accountant.ts'
import type { MechanismEvent } from './events.ts'
import { falsePosition } from './false-position.ts'
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
  // Between logarithms, to base 2: what is left is nearly a line, and a PLD costs a quarter of a second each.
  const over = (log: number): number => {
    const spent = accountant.epsilon(events(2 ** log), delta, adjacency)
    if (Number.isNaN(spent)) throw new RangeError('expected an epsilon from the accountant, got NaN')
    return Math.log(spent / epsilon)
  }
  let high = 0
  let atHigh = over(high)
  let low = high
  let atLow = atHigh
  while (atHigh > 0) {
    low = high
    atLow = atHigh
    high++
    if (2 ** high > LARGEST_NOISE) {
      throw new PretextError(
        `no noise multiplier up to ${LARGEST_NOISE} reaches epsilon ${epsilon} at delta ${delta}`,
        {
          code: 'config',
          hint: 'ask for a larger epsilon or fewer releases',
        },
      )
    }
    atHigh = over(high)
  }
  while (!(atLow > 0)) {
    high = low
    atHigh = atLow
    low--
    // Epsilon Infinity, or a delta that costs nothing: any noise will do.
    if (2 ** low < 1e-6) return 2 ** high
    atLow = over(low)
  }
  return 2 ** falsePosition(over, { low, atLow, high, atHigh }, () => WIDTH).high
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
