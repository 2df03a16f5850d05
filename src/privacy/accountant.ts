// From events to epsilon: what every accountant promises, and which of them answers when none is named.
import { PretextError } from '../errors.ts'
import { analytic } from './analytic.ts'
import type { MechanismEvent } from './events.ts'
import { pld } from './pld.ts'
import { filterRdp, rdp } from './rdp.ts'
import { hasExact, muOf, nameOf, termsOf } from './terms.ts'
import type { Adjacency } from './units.ts'
import { zcdp } from './zcdp.ts'

export type AccountantName = 'analytic' | 'zcdp' | 'rdp' | 'pld'

/**
 * Reads events and bounds what they cost together. Every answer is an upper bound on the truth, rounding included.
 * `adjacency` is the one that the noise multipliers are relative to; add-remove if not given.
 */
export interface Accountant {
  readonly name: AccountantName
  /** Printed beside every epsilon. */
  readonly method: string
  /**
   * True if the accountant's theory covers releases whose noise was chosen after seeing earlier ones, under a budget that
   * was fixed before (a filter). False: only for sequences that are fixed in advance. See `filterEpsilon`.
   */
  readonly filters: boolean
  /** Why these events have no answer here; undefined if they have one. Throws PretextError `config` for malformed events. */
  refusal(events: Iterable<MechanismEvent>, adjacency?: Adjacency): string | undefined
  /** Epsilon >= 0 at delta in (0, 1); Infinity after a release without noise. Throws PretextError `config` if it refuses. */
  epsilon(events: Iterable<MechanismEvent>, delta: number, adjacency?: Adjacency): number
  /** Delta in [0, 1] at epsilon >= 0. Throws PretextError `config` if it refuses. */
  delta(events: Iterable<MechanismEvent>, epsilon: number, adjacency?: Adjacency): number
}

/** All accountants, the most exact first. */
export const ACCOUNTANTS: readonly Accountant[] = [analytic, pld, rdp, zcdp]

/** The name printed beside every epsilon of a run: all of its releases are Gaussian, with every client present. */
export const ACCOUNTANT = analytic.method

export interface Answer {
  readonly epsilon: number
  readonly accountant: Accountant
}

/**
 * Epsilon at delta by the accountant that is exact for these events (analytic), or else the smallest of the upper bounds
 * that apply. For fixed sequences; adaptively chosen ones are for `filterEpsilon`.
 */
export function account(
  events: Iterable<MechanismEvent>,
  delta: number,
  adjacency: Adjacency = 'add-remove',
): Answer {
  const all = [...events]
  const [exact, ...others] = ACCOUNTANTS as [Accountant, ...Accountant[]]
  if (exact.refusal(all, adjacency) === undefined) {
    return { epsilon: exact.epsilon(all, delta, adjacency), accountant: exact }
  }
  let best: Answer | undefined
  const reasons: string[] = []
  for (const accountant of others) {
    const refusal = accountant.refusal(all, adjacency)
    if (refusal !== undefined) {
      reasons.push(`${accountant.name}: ${refusal}`)
      continue
    }
    const epsilon = accountant.epsilon(all, delta, adjacency)
    if (best === undefined || epsilon < best.epsilon) best = { epsilon, accountant }
  }
  if (best !== undefined) return best
  throw new PretextError(`no accountant bounds these events together (${reasons.join('; ')})`, {
    code: 'config',
    hint: 'account for the release as if every client took part (q = 1): leave the sampling out',
  })
}

/** Epsilon at delta of a fixed sequence of events; see `account`. */
export function epsilonOf(
  events: Iterable<MechanismEvent>,
  delta: number,
  adjacency: Adjacency = 'add-remove',
): number {
  return account(events, delta, adjacency).epsilon
}

/**
 * Epsilon of releases whose noise may have been chosen after seeing earlier ones, to be held against a budget that was fixed
 * before the first: while it does not exceed `budget.epsilon`, everything released is (budget.epsilon, budget.delta)-DP.
 * By GDP for Gaussian releases, by RDP at one order that depends on the budget alone for all others. Never by PLD.
 * The first event decides which of the two, since it was chosen before anything was seen: going from one to the other on
 * the way would be a choice of the theorem by the data, and each theorem pays its own delta. Throws PretextError `ledger`
 * where the first is Gaussian and a later one is not.
 */
export function filterEpsilon(
  events: Iterable<MechanismEvent>,
  budget: { readonly epsilon: number; readonly delta: number },
  adjacency: Adjacency = 'add-remove',
): number {
  const all = [...events]
  if (analytic.refusal(all.slice(0, 1), adjacency) !== undefined) return filterRdp(all, budget, adjacency)
  const refusal = analytic.refusal(all, adjacency)
  if (refusal === undefined) return analytic.epsilon(all, budget.delta, adjacency)
  throw new PretextError(`a budget that began with Gaussian releases pays for no others: ${refusal}`, {
    code: 'ledger',
    hint: 'charge other mechanisms to a ledger of their own, with a part of the budget (epsilons and deltas add up)',
  })
}

/** sqrt(sum of 1 / noiseMultiplier^2) of Gaussian releases without sampling; Infinity after a release without noise. */
export function composedMu(events: Iterable<MechanismEvent>): number {
  const terms = termsOf(events)
  if (hasExact(terms)) return Number.POSITIVE_INFINITY
  const mu = muOf(terms)
  if (mu !== undefined) return mu
  const other = terms.find(({ event }) => event.type !== 'gaussian')
  throw new PretextError(
    `expected Gaussian releases without sampling, got ${other === undefined ? 'none' : nameOf(other.event)}`,
    { code: 'config' },
  )
}
