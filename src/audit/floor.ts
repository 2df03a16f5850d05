// What an honest path shows of itself in so many trials, so that an audit that sees too little does not pass as one that
// saw nothing wrong. Two settings are calibrated by honest runs (bench/audit-floor.ts); elsewhere the floor is computed:
// the best threshold for the claimed Gaussian, the bound at the expected counts, less Z standard deviations and a margin.
import { normalCdf } from '../privacy/special.ts'
import { CAUTIOUS_ALPHA, epsilonBound } from './lower-bound.ts'

/** 1st percentile of a standard normal distribution, as a distance. */
const Z = 2.3263
/** For the choice of the threshold, which honest runs make on other trials; see test/audit/floor.test.ts. */
const MARGIN = 0.06
const UNSURE = 0.05

export interface PowerQuestion {
  /** Claimed mu of all rounds together. */
  readonly mu: number
  readonly delta: number
  readonly alpha: number
  /** Trials that the answer rests on, in each world. */
  readonly withTrials: number
  readonly withoutTrials: number
}

/** 1st percentile of 200 honest audits each (bench/audit-floor.json): one release, add-remove, four million draws. */
const CALIBRATED: readonly (PowerQuestion & { readonly floor: number })[] = [
  { mu: 1, floor: 2.9679 },
  { mu: 1 / 2.31, floor: 1.1182 },
].map((entry) => ({ ...entry, delta: 3e-6, alpha: 0.001, withTrials: 500_224, withoutTrials: 1_500_672 }))

/** The calibrated floor, where honest runs of just these settings were made. */
export function calibratedFloor(question: PowerQuestion): number | undefined {
  const near = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * b
  return CALIBRATED.find((entry) =>
    (['mu', 'delta', 'alpha', 'withTrials', 'withoutTrials'] as const).every((key) =>
      near(question[key], entry[key]),
    ),
  )?.floor
}

/** The bound that an honest path gives on average, and one that 99 of 100 honest runs reach (0: nothing can be asked). */
export function expectedBound(question: PowerQuestion): { readonly typical: number; readonly floor: number } {
  const { mu, delta, alpha, withTrials, withoutTrials } = question
  const bound = epsilonBound(delta)
  let best = { cautious: 0, typical: 0, floor: 0 }
  for (let t = -2; t < 9; t += 0.02) {
    const hits = withTrials * normalCdf(mu - t)
    const falseAlarms = withoutTrials * normalCdf(-t)
    if (hits < 1) break
    const at = (confidence: number, moreHits: number, moreAlarms: number): number =>
      bound(
        {
          hits: hits + moreHits,
          hitTrials: withTrials,
          falseAlarms: Math.max(0, falseAlarms + moreAlarms),
          falseAlarmTrials: withoutTrials,
        },
        confidence,
      )
    // The threshold is chosen as a run chooses it.
    const cautious = at(CAUTIOUS_ALPHA, 0, 0)
    if (cautious <= best.cautious) continue
    const typical = at(alpha, 0, 0)
    const hitsSd = Math.sqrt(hits * normalCdf(t - mu))
    const alarmsSd = Math.sqrt(falseAlarms * normalCdf(t))
    const sd = Math.hypot(
      (at(alpha, Math.min(hitsSd, withTrials - hits), 0) - at(alpha, -Math.min(hitsSd, hits - 0.5), 0)) / 2,
      (at(alpha, 0, -alarmsSd) - at(alpha, 0, Math.min(alarmsSd, withoutTrials - falseAlarms))) / 2,
    )
    best = { cautious, typical, floor: Math.max(0, typical - Z * sd - MARGIN) }
  }
  const calibrated = calibratedFloor(question)
  if (calibrated !== undefined) return { typical: best.typical, floor: calibrated }
  // Where the choice of the threshold itself is a matter of chance, nothing is asked of the answer.
  return best.cautious < UNSURE ? { typical: best.typical, floor: 0 } : best
}
