// From events to epsilon, and back from epsilon to noise.
import { PretextError } from '../errors.ts'
import { checkEvent, type MechanismEvent } from './events.ts'
import { gaussianEpsilon, gaussianMu } from './gaussian.ts'

/** The name printed beside every epsilon. */
export const ACCOUNTANT = 'analytic Gaussian (exact composition, q = 1)'

/** sqrt(sum of squared sensitivity-to-noise ratios) of a sequence of adaptively chosen events. */
export function composedMu(events: Iterable<MechanismEvent>): number {
  let sum = 0
  for (const event of events) {
    checkEvent(event)
    if (event.type === 'exact') return Number.POSITIVE_INFINITY
    if (event.type !== 'gaussian') {
      throw new PretextError(`expected Gaussian releases without sampling, got ${event.type}`, {
        code: 'config',
      })
    }
    sum += 1 / event.noiseMultiplier ** 2
  }
  return Math.sqrt(sum)
}

/** Tight epsilon of the composition at delta. */
export function epsilonOf(events: Iterable<MechanismEvent>, delta: number): number {
  return gaussianEpsilon(composedMu(events), delta)
}

/** The smallest noise multiplier with which `releases` equal releases are (epsilon, delta)-DP, rounded up. */
export function calibrateNoise(epsilon: number, delta: number, releases: number): number {
  if (!(Number.isInteger(releases) && releases > 0)) {
    throw new PretextError(`the number of releases must be a positive integer, got ${releases}`, {
      code: 'config',
    })
  }
  return (Math.sqrt(releases) / gaussianMu(epsilon, delta)) * (1 + 1e-15)
}
