// The exact accountant: any number of Gaussian releases, each with noise of its own, every client present.
// Why it bounds: T adaptively chosen releases with ratios mu_i are exactly one Gaussian release with sqrt(sum mu_i^2) (Dong,
// Roth and Su, "Gaussian Differential Privacy", Corollary 3.3), and gaussian.ts is exact for that one (Balle and Wang,
// Theorem 8). It stays true when the noise of each release is chosen after seeing those before, as long as the sum stays
// within what was fixed (Smith and Thakurta, "Fully adaptive composition for Gaussian DP", 2022; Koskela et al., 2023).
import type { Accountant } from './accountant.ts'
import { gaussianDeltaAbove, gaussianEpsilon } from './gaussian.ts'
import { hasExact, muOf, nameOf, refused, type Term, termsOf } from './terms.ts'
import { checkDelta } from './units.ts'

export const analytic: Accountant = {
  name: 'analytic',
  method: 'analytic Gaussian (exact composition, q = 1)',
  filters: true,
  refusal(events) {
    const terms = termsOf(events)
    if (hasExact(terms)) return undefined
    const other = terms.find(({ event }) => event.type !== 'gaussian')
    return other === undefined
      ? undefined
      : `expected Gaussian releases without sampling, got ${nameOf(other.event)}`
  },
  epsilon(events, delta) {
    checkDelta(delta)
    return gaussianEpsilon(muOrThrow(termsOf(events)), delta)
  },
  delta(events, epsilon) {
    return gaussianDeltaAbove(epsilon, muOrThrow(termsOf(events)))
  },
}

function muOrThrow(terms: readonly Term[]): number {
  if (hasExact(terms)) return Number.POSITIVE_INFINITY
  const mu = muOf(terms)
  if (mu === undefined) throw refused('analytic', analytic.refusal(terms.map(({ event }) => event)) as string)
  return mu
}
