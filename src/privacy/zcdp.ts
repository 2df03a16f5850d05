// Zero-concentrated DP: one number rho for each release, and they add. Bun and Steinke (TCC 2016).
// Why it bounds: a Gaussian release has rho = 1/(2 s^2) (Proposition 1.6); so has the discrete Gaussian on integer vectors
// (Canonne, Kamath and Steinke 2020, Theorem 14); an e-DP release (Laplace) has rho = e^2/2 (Proposition 1.4). rho-zCDP is
// divergence rho x order at every order, so renyi.ts turns it into epsilon. Adaptively chosen releases may share a fixed
// rho (Feldman and Zrnic, "Individual Privacy Accounting via a Renyi Filter", NeurIPS 2021, Theorem 4.3).
import type { Accountant } from './accountant.ts'
import type { SimpleEvent } from './events.ts'
import { renyiDelta, renyiEpsilon } from './renyi.ts'
import { hasExact, nameOf, refused, type Term, termsOf } from './terms.ts'
import { checkDelta } from './units.ts'

/** Rounding of a sum of a few thousand terms, upwards. */
const MARGIN = 1 + 1e-12

export const zcdp: Accountant = {
  name: 'zcdp',
  method: 'zCDP',
  filters: true,
  refusal: (events) => refusalOf(termsOf(events)),
  epsilon(events, delta) {
    checkDelta(delta)
    const rho = rhoOf(termsOf(events))
    if (rho === 0 || rho === Number.POSITIVE_INFINITY) return rho
    return renyiEpsilon((order) => rho * order, delta).value
  },
  delta(events, epsilon) {
    const rho = rhoOf(termsOf(events))
    if (rho === 0 || rho === Number.POSITIVE_INFINITY) return rho === 0 ? 0 : 1
    return renyiDelta((order) => rho * order, epsilon).value
  },
}

function refusalOf(terms: readonly Term[]): string | undefined {
  if (hasExact(terms)) return undefined
  const sampled = terms.find(({ event }) => 'rate' in event)
  return sampled === undefined
    ? undefined
    : `expected releases without sampling, got ${nameOf(sampled.event)}`
}

function rhoOf(terms: readonly Term[]): number {
  const refusal = refusalOf(terms)
  if (refusal !== undefined) throw refused('zcdp', refusal)
  let rho = 0
  for (const { event, count } of terms) rho += count * rhoOfOne(event)
  return rho * MARGIN
}

function rhoOfOne(event: SimpleEvent): number {
  if (event.type === 'gaussian' || event.type === 'discreteGaussian' || event.type === 'laplace') {
    return 0.5 / event.noiseMultiplier ** 2
  }
  return Number.POSITIVE_INFINITY
}
