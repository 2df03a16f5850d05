// What paired scores say: each canary was a member in one run of a pair and not in the other. Under the null hypothesis (the
// corpora do not depend on the canaries) it scores higher in either with probability 1/2.
import jstat from 'jstat'
import { proportionAtLeast, proportionAtMost } from './lower-bound.ts'

export interface PairedScore {
  readonly member: number
  readonly nonMember: number
}

export interface MembershipResult {
  /** Share of canaries that score higher where they were members, ties half: the paired AUC. The null expects 0.5. */
  readonly auc: number
  /** Exact (Clopper-Pearson) interval. */
  readonly low: number
  readonly high: number
  /** Members above the score that at most `falsePositives` of the non-members exceed, with its interval. */
  readonly truePositives: number
  readonly truePositivesLow: number
  readonly truePositivesHigh: number
}

/** At so many false positives the true positives are told. */
export const LOW_FPR = 0.05

export function membershipResult(scores: readonly PairedScore[], alpha: number): MembershipResult {
  const n = scores.length
  const wins = scores.reduce(
    (sum, { member, nonMember }) => sum + (member > nonMember ? 1 : member === nonMember ? 0.5 : 0),
    0,
  )
  const nonMembers = scores.map(({ nonMember }) => nonMember).sort((a, b) => b - a)
  const threshold = nonMembers[Math.floor(LOW_FPR * n)] as number
  const found = scores.filter(({ member }) => member > threshold).length
  return {
    auc: wins / n,
    low: proportionAtLeast(Math.floor(wins), n, alpha / 2),
    high: proportionAtMost(Math.ceil(wins), n, alpha / 2),
    truePositives: found / n,
    truePositivesLow: proportionAtLeast(found, n, alpha / 2),
    truePositivesHigh: proportionAtMost(found, n, alpha / 2),
  }
}

/** The smallest AUC that so many canaries show to lie above 0.5 with this power; null where none does. */
export function smallestSeen(canaries: number, alpha: number, power: number): number | null {
  let needed = 0
  while (needed <= canaries && proportionAtLeast(needed, canaries, alpha / 2) <= 0.5) needed++
  if (needed > canaries) return null
  // P(wins >= needed) grows with p: the p at which it is `power` is a quantile of a beta distribution.
  return jstat.beta.inv(power, needed, canaries - needed + 1)
}
