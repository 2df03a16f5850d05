// From trials to lower bounds that hold with stated confidence: threshold tests with Clopper-Pearson intervals. Epsilon from
// P(with) <= exp(epsilon) P(without) + delta (Jagielski, Ullman and Oprea 2020, with delta as in Nasr et al. 2021), for any
// mechanism; mu from the trade-off curve that the accountant claims (Dong, Roth and Su 2022), which is sharper: a path that
// is mu-GDP has Phi^-1(P(with)) - Phi^-1(P(without)) <= mu for every event.
import jstat from 'jstat'
import { gaussianEpsilon } from '../privacy/gaussian.ts'
import { ATTACKS, type AttackName, type Trials } from './attacks.ts'

/** An event: the statistic of an attack lies at or beyond a threshold. */
export interface Test {
  readonly attack: AttackName
  /** up: at or above the threshold tells that the client is there; down: at or below it tells that it is not. */
  readonly tail: 'up' | 'down'
  readonly threshold: number
}

/** How often the event came in the world that it tells of, and in the other one. */
export interface Counts {
  readonly hits: number
  readonly hitTrials: number
  readonly falseAlarms: number
  readonly falseAlarmTrials: number
}

export interface Found extends Test, Counts {
  /** The bound, at the confidence that was asked for. */
  readonly bound: number
}

// jstat's quantile agrees with scipy to 4e-9 up to a million trials (test/audit); ends move outward by more than that.
const OUTWARD = 1e-8

/** One-sided Clopper-Pearson ends, each missed with probability at most `alpha`. All hits and none have closed forms. */
export function proportionAtLeast(hits: number, trials: number, alpha: number): number {
  if (hits === 0) return 0
  if (hits === trials) return alpha ** (1 / trials)
  return jstat.beta.inv(alpha, hits, trials - hits + 1) * (1 - OUTWARD)
}
export function proportionAtMost(hits: number, trials: number, alpha: number): number {
  if (hits === trials) return 1
  if (hits === 0) return -Math.expm1(Math.log(alpha) / trials)
  return Math.min(1, jstat.beta.inv(1 - alpha, hits + 1, trials - hits) * (1 + OUTWARD))
}

export type Bound = (counts: Counts, alpha: number) => number

/** A lower bound of epsilon at delta, for any mechanism; 0 where the counts show nothing. `alpha` is split over both ends. */
export function epsilonBound(delta: number): Bound {
  return ({ hits, hitTrials, falseAlarms, falseAlarmTrials }, alpha) => {
    const sure = proportionAtLeast(hits, hitTrials, alpha / 2) - delta
    const most = proportionAtMost(falseAlarms, falseAlarmTrials, alpha / 2)
    return sure <= most ? 0 : Math.log(sure / most)
  }
}

/** A lower bound of mu for a path that claims to be Gaussian; 0 where the counts show nothing. */
export const muBound: Bound = ({ hits, hitTrials, falseAlarms, falseAlarmTrials }, alpha) => {
  const sure = proportionAtLeast(hits, hitTrials, alpha / 2)
  const most = proportionAtMost(falseAlarms, falseAlarmTrials, alpha / 2)
  return sure <= most ? 0 : jstat.normal.inv(sure, 0, 1) - jstat.normal.inv(most, 0, 1)
}

/** Another attack than the one that is best on an honest path must be so much better, so that chance does not choose it. */
const ahead = (found: number): number => Math.min(0.25 * found, 0.75)

/**
 * Tests are compared by the bound at this much stricter alpha. At the alpha of the answer, chance would choose thresholds so
 * far out that the other half of the trials has few events there, and the answer would scatter.
 */
export const CAUTIOUS_ALPHA = 1e-8

/** The attack, tail and threshold to use on other trials; the largest bound at CAUTIOUS_ALPHA, or at `alpha` if that is 0. */
export function bestTest(trials: ReadonlyMap<AttackName, Trials>, bound: Bound, alpha: number): Test {
  const cautious = largest(trials, bound, CAUTIOUS_ALPHA)
  return cautious.score > 0 ? cautious : largest(trials, bound, alpha)
}

function largest(
  trials: ReadonlyMap<AttackName, Trials>,
  bound: Bound,
  alpha: number,
): Test & { readonly score: number } {
  let best = { attack: 'votes' as AttackName, tail: 'up' as Test['tail'], threshold: 0, score: -1 }
  for (const name of Object.keys(ATTACKS) as AttackName[]) {
    const of = trials.get(name)
    if (of === undefined) continue
    const sorted = { with: of.with.slice().sort(), without: of.without.slice().sort() }
    for (const threshold of thresholds(sorted)) {
      for (const tail of ['up', 'down'] as const) {
        const test = { attack: name, tail, threshold }
        const found = bound(countsIn(sorted, test), alpha)
        const score = name === 'votes' && tail === 'up' ? found + ahead(found) : found
        if (score > best.score) best = { ...test, score }
      }
    }
  }
  return best
}

/** The bound that a test chosen elsewhere gives on these trials. */
export function evaluate(trials: Trials, test: Test, bound: Bound, alpha: number): Found {
  const { tail, threshold } = test
  const [told, other] = tail === 'up' ? [trials.with, trials.without] : [trials.without, trials.with]
  const beyond = (values: Float64Array): number => {
    let count = 0
    for (const value of values) if (tail === 'up' ? value >= threshold : value <= threshold) count++
    return count
  }
  const counts = {
    hits: beyond(told),
    hitTrials: told.length,
    falseAlarms: beyond(other),
    falseAlarmTrials: other.length,
  }
  return { attack: test.attack, tail, threshold, ...counts, bound: bound(counts, alpha) }
}

/** The delta at which the counts contradict the claimed curve most, with the bound and the claim there; undefined if none. */
export function contradiction(counts: Counts, alpha: number, mu: number) {
  let worst: { delta: number; epsilon: number; claim: number } | undefined
  for (let exponent = -8; exponent < 0; exponent += 0.05) {
    const delta = 10 ** exponent
    const epsilon = epsilonBound(delta)(counts, alpha)
    const claim = gaussianEpsilon(mu, delta)
    const margin = worst === undefined ? 0 : worst.epsilon - worst.claim
    if (epsilon - claim > margin) worst = { delta, epsilon, claim }
  }
  return worst
}

function countsIn(sorted: Trials, { tail, threshold }: Test): Counts {
  const above = (values: Float64Array) => values.length - firstAtLeast(values, threshold)
  const notAbove = (values: Float64Array) => firstAbove(values, threshold)
  return tail === 'up'
    ? {
        hits: above(sorted.with),
        hitTrials: sorted.with.length,
        falseAlarms: above(sorted.without),
        falseAlarmTrials: sorted.without.length,
      }
    : {
        hits: notAbove(sorted.without),
        hitTrials: sorted.without.length,
        falseAlarms: notAbove(sorted.with),
        falseAlarmTrials: sorted.with.length,
      }
}

/** Values at ranks that grow by a tenth from both ends of both worlds: fine in the tails, where the answers lie. */
function thresholds(sorted: Trials): Set<number> {
  const found = new Set<number>()
  for (const values of [sorted.with, sorted.without]) {
    for (let rank = 1; rank <= values.length; rank = Math.max(rank + 1, Math.floor(rank * 1.1))) {
      found.add(values[rank - 1] as number)
      found.add(values[values.length - rank] as number)
    }
  }
  return found
}

function firstAtLeast(sorted: Float64Array, threshold: number): number {
  return lowest(sorted.length, (i) => (sorted[i] as number) >= threshold)
}
function firstAbove(sorted: Float64Array, threshold: number): number {
  return lowest(sorted.length, (i) => (sorted[i] as number) > threshold)
}
function lowest(length: number, reached: (i: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (reached(middle)) high = middle
    else low = middle + 1
  }
  return low
}
