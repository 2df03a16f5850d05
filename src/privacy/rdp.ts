// Renyi DP: a curve of divergences over orders, and curves add. Mironov, "Renyi Differential Privacy" (CSF 2017).
// Why it bounds: adaptive composition adds the divergences of each order (Proposition 1); the curves are order/(2 s^2) for
// the Gaussian (Proposition 7) and the discrete Gaussian (Canonne, Kamath and Steinke 2020, Theorem 14), Proposition 6 for
// Laplace, sampled-gaussian.ts and fixed-size.ts for sampling; renyi.ts turns a curve into epsilon. Laplace noise on a
// vector: the divergence is convex in the shift and 0 at 0, so it is largest when one coordinate takes the whole L1 norm.
//
// For releases whose noise is chosen after seeing others, the order has to be chosen before (Feldman and Zrnic, NeurIPS
// 2021, Theorem 4.3); `filterEpsilon` does that.
import type { Accountant } from './accountant.ts'
import type { MechanismEvent, SimpleEvent } from './events.ts'
import { fixedSizeDivergence } from './fixed-size.ts'
import { epsilonAtOrder, type RenyiCurve, renyiDelta, renyiEpsilon } from './renyi.ts'
import { sampledGaussianDivergence } from './sampled-gaussian.ts'
import { adjacencyRefusal, hasExact, nameOf, refused, type Term, termsOf } from './terms.ts'
import { type Adjacency, checkDelta } from './units.ts'

const MARGIN = 1 + 1e-12

export const rdp: Accountant = {
  name: 'rdp',
  method: 'Renyi DP',
  filters: true,
  refusal: (events, adjacency = 'add-remove') => refusalOf(termsOf(events), adjacency),
  epsilon(events, delta, adjacency = 'add-remove') {
    checkDelta(delta)
    const terms = checked(events, adjacency)
    if (terms.length === 0 || hasExact(terms)) return terms.length === 0 ? 0 : Number.POSITIVE_INFINITY
    return renyiEpsilon(curveOf(terms), delta).value
  },
  delta(events, epsilon, adjacency = 'add-remove') {
    const terms = checked(events, adjacency)
    if (terms.length === 0 || hasExact(terms)) return terms.length === 0 ? 0 : 1
    return renyiDelta(curveOf(terms), epsilon).value
  },
}

/**
 * Renyi divergence in nats of a composition, as a function of the order > 1. Throws PretextError `config` for events or
 * an adjacency that it does not know.
 */
export function renyiDivergence(
  events: Iterable<MechanismEvent>,
  adjacency: Adjacency = 'add-remove',
): RenyiCurve {
  return curveOf(checked(events, adjacency))
}

/**
 * Epsilon, at delta, of releases that were chosen one after the other with knowledge of those before, to be held
 * against a budget (budgetEpsilon, delta) that was fixed before the first: the order is the best one for a
 * Gaussian that spends this budget, whatever is released. While it stays at or below budgetEpsilon, the whole is
 * (budgetEpsilon, delta)-DP.
 */
export function filterRdp(
  events: Iterable<MechanismEvent>,
  budget: { readonly epsilon: number; readonly delta: number },
  adjacency: Adjacency = 'add-remove',
): number {
  const terms = checked(events, adjacency)
  if (terms.length === 0) return 0
  if (hasExact(terms)) return Number.POSITIVE_INFINITY
  const { order } = orderFor(budget)
  return Math.max(0, epsilonAtOrder(order, curveOf(terms)(order), budget.delta))
}

/** The order at which zCDP spends the budget, to four digits: any order would be valid. */
function orderFor({ epsilon, delta }: { epsilon: number; delta: number }): { order: number } {
  let low = 1e-18
  let high = Math.max(1, epsilon)
  for (let i = 0; i < 60; i++) {
    const rho = Math.sqrt(low * high)
    if (renyiEpsilon((order) => rho * order, delta).value > epsilon) high = rho
    else low = rho
  }
  return renyiEpsilon((order) => low * order, delta)
}

function checked(events: Iterable<MechanismEvent>, adjacency: Adjacency): readonly Term[] {
  const terms = termsOf(events)
  const refusal = refusalOf(terms, adjacency)
  if (refusal !== undefined) throw refused('rdp', refusal)
  return terms
}

function refusalOf(terms: readonly Term[], adjacency: Adjacency): string | undefined {
  if (hasExact(terms)) return undefined
  const other = terms.find(({ event }) => 'rate' in event && event.event.type !== 'gaussian')
  if (other !== undefined) return `expected sampling of Gaussian releases, got ${nameOf(other.event)}`
  return adjacencyRefusal(terms, adjacency)
}

function curveOf(terms: readonly Term[]): RenyiCurve {
  const curves = terms.map(({ event, count }) => ({ count, of: curveOfOne(event) }))
  return (order) => curves.reduce((sum, { count, of }) => sum + count * of(order), 0) * MARGIN
}

function curveOfOne(event: SimpleEvent): RenyiCurve {
  switch (event.type) {
    case 'exact':
      return () => Number.POSITIVE_INFINITY
    case 'gaussian':
    case 'discreteGaussian': {
      const rho = 0.5 / event.noiseMultiplier ** 2
      return (order) => rho * order
    }
    case 'laplace':
      return (order) => laplaceDivergence(event.noiseMultiplier, order)
    case 'poissonSampled': {
      const { noiseMultiplier } = event.event as { noiseMultiplier: number }
      return (order) =>
        Math.max(
          sampledGaussianDivergence(event.rate, noiseMultiplier, order, 'remove'),
          sampledGaussianDivergence(event.rate, noiseMultiplier, order, 'add'),
        )
    }
    case 'fixedSizeSampled': {
      const { noiseMultiplier } = event.event as { noiseMultiplier: number }
      return fixedSizeDivergence(event.rate, noiseMultiplier)
    }
  }
}

/** Mironov 2017, Proposition 6: log(a e^((a-1)/b) + (a-1) e^(-a/b)) - log(2a-1), over a - 1. */
function laplaceDivergence(scale: number, order: number): number {
  const up = (order - 1) / scale
  const down = -order / scale
  if (up > 600) return (up + Math.log(order / (2 * order - 1))) / (order - 1) + 1e-15
  let excess = 0
  if (order / scale < 0.5) {
    // The first-order terms cancel: order x up = -(order - 1) x down. A series from the second on keeps every digit.
    let a = up
    let b = down
    for (let n = 2; n < 40; n++) {
      a *= up / n
      b *= down / n
      excess += order * a + (order - 1) * b
    }
  } else excess = order * Math.expm1(up) + (order - 1) * Math.expm1(down)
  return Math.log1p(excess / (2 * order - 1)) / (order - 1)
}
