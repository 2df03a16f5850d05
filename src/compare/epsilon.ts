// The epsilon of an arm, from the noise that its run really added: every arm's mechanisms become events of src/privacy. The
// same way back finds the noise to ask for, so that asked and spent differ by rounding alone.
import { PretextError } from '../errors.ts'
import type { ArmMechanism } from '../finetune/arm-job.ts'
import { account } from '../privacy/accountant.ts'
import { calibrate } from '../privacy/calibration.ts'
import type { MechanismEvent } from '../privacy/events.ts'
import { rdp } from '../privacy/rdp.ts'
import { type Adjacency, sensitivityFactor } from '../privacy/units.ts'

export interface EpsilonTerms {
  readonly delta: number
  readonly adjacency: Adjacency
}

/** Epsilon at delta for all texts of one client; Infinity where something was released without noise or without a bound. */
export function epsilonSpent(mechanisms: readonly ArmMechanism[], terms: EpsilonTerms): number {
  if (mechanisms.length === 0) return 0
  const texts = mechanisms.map(({ unit, textsPerClient }) => (unit === 'text' ? (textsPerClient ?? 1) : 1))
  const group = Math.max(...texts)
  // Whole releases hide a group as they hide one with a larger bound; samples of texts hide it by group privacy.
  const sampled = mechanisms.some((mechanism, i) => (texts[i] as number) > 1 && isAmplified(mechanism, terms))
  if (!sampled) return account(eventsOf(mechanisms, terms), terms.delta, terms.adjacency).epsilon
  const single = mechanisms.map(({ textsPerClient: _, ...mechanism }) => mechanism)
  return groupEpsilon(eventsOf(single, terms), terms, group)
}

/**
 * The smallest scale for which the mechanisms that `at` makes of it spend at most epsilon: of a noise multiplier, say, or of
 * a standard deviation. More scale must mean more noise. Throws PretextError `config` where no noise reaches it.
 */
export function calibrateMechanisms(
  epsilon: number,
  terms: EpsilonTerms,
  at: (scale: number) => readonly ArmMechanism[],
): number {
  let mechanisms: readonly ArmMechanism[] = []
  const accountant = { epsilon: () => epsilonSpent(mechanisms, terms) }
  return calibrate(accountant, { epsilon, ...terms }, (scale) => {
    mechanisms = at(scale)
    if (mechanisms.length === 0) {
      throw new PretextError('expected something that noise is added to, got nothing', {
        code: 'unexpected',
        hint: 'an arm that reads no private text needs no noise: this is a defect of the arm',
      })
    }
    return []
  })
}

/** What the mechanisms are to the accountants, with noise relative to the sensitivity under the adjacency of `terms`. */
export function eventsOf(mechanisms: readonly ArmMechanism[], terms: EpsilonTerms): MechanismEvent[] {
  const together = new Map<string, ArmMechanism[]>()
  for (const [i, mechanism] of mechanisms.entries()) {
    const key = mechanism.together ?? `alone ${i}`
    together.set(key, [...(together.get(key) ?? []), mechanism])
  }
  return [...together.values()].map((group) => eventOf(group, terms))
}

function eventOf(group: readonly ArmMechanism[], terms: EpsilonTerms): MechanismEvent {
  const first = group[0] as ArmMechanism
  const multipliers = group.map((mechanism) => noiseMultiplier(mechanism, terms))
  if (multipliers.some((multiplier) => multiplier === 0)) return { type: 'exact' }
  const differ = group.some(
    (mechanism) =>
      mechanism.releases !== first.releases ||
      mechanism.sampling !== first.sampling ||
      mechanism.cohort / mechanism.clients !== first.cohort / first.clients,
  )
  if (differ) {
    throw new PretextError(
      `expected mechanisms that were released together ("${first.together}") to have the same releases, cohort and sampling, got others`,
      { code: 'unexpected', hint: 'an arm must name together only what one draw of clients was released in' },
    )
  }
  // Gaussian sums of one draw are one Gaussian sum: squares of the inverse noise add up.
  const event: MechanismEvent = {
    type: 'gaussian',
    noiseMultiplier: 1 / Math.sqrt(multipliers.reduce((sum, multiplier) => sum + multiplier ** -2, 0)),
  }
  if (first.matrix !== undefined) return event
  const rate = Math.min(1, first.cohort / first.clients)
  const one: MechanismEvent = !isAmplified(first, terms)
    ? event
    : first.sampling === 'poisson'
      ? { type: 'poissonSampled', rate, event }
      : { type: 'fixedSizeSampled', rate, event }
  return { type: 'repeated', count: first.releases, event: one }
}

/** Sampling counts where a theorem does: Poisson under add-remove, cohorts of a fixed size under substitution. */
function isAmplified({ sampling, matrix, local }: ArmMechanism, { adjacency }: EpsilonTerms): boolean {
  if (matrix !== undefined || local === true) return false
  return sampling === (adjacency === 'add-remove' ? 'poisson' : 'fixed')
}

/** 0: nothing is hidden. */
function noiseMultiplier(mechanism: ArmMechanism, { adjacency }: EpsilonTerms): number {
  const { sigma, clip, contributions, matrix, sampling, cohort, clients, local, unit, textsPerClient } =
    mechanism
  if (clip === null || sigma === 0) return 0
  // Who leaves a cohort of a fixed size is replaced by another, and a message by another message: as far apart as under
  // substitution.
  const replaced = local === true || (sampling === 'fixed' && cohort < clients && matrix === undefined)
  const moved = replaced ? 'substitution' : adjacency
  const texts = unit === 'text' ? (textsPerClient ?? 1) : 1
  return sigma / (clip * (matrix?.sensitivity ?? 1) * sensitivityFactor(moved, contributions) * texts)
}

/**
 * Group privacy for k texts: (e, d) for one is (k e, d (exp(k e) - 1) / (exp(e) - 1)) for k of them. The delta of one text is
 * looked for that gives the delta asked for.
 */
function groupEpsilon(events: readonly MechanismEvent[], terms: EpsilonTerms, k: number): number {
  const logDelta = (single: number): { epsilon: number; log: number } => {
    // By RDP, which answers for many deltas in the time that a PLD takes for one.
    const epsilon = rdp.epsilon(events, Math.exp(single), terms.adjacency)
    // log((exp(k e) - 1) / (exp(e) - 1)), for large k e as well.
    const growth = epsilon === 0 ? Math.log(k) : logExpm1(k * epsilon) - logExpm1(epsilon)
    return { epsilon: k * epsilon, log: single + growth }
  }
  const wanted = Math.log(terms.delta)
  let low = -700
  if (logDelta(low).log > wanted) return Number.POSITIVE_INFINITY
  let high = wanted
  for (let i = 0; i < 24; i++) {
    const middle = (low + high) / 2
    if (logDelta(middle).log > wanted) high = middle
    else low = middle
  }
  return logDelta(low).epsilon
}

function logExpm1(x: number): number {
  return x > 30 ? x : Math.log(Math.expm1(x))
}

/** Share by which an arm may stay below the epsilon asked for. */
const SLACK = 0.01

/**
 * Refuses an arm that spent more than was asked (it would win by privacy that it does not give), or over 1% less (it would
 * lose by noise that nobody asked for). Both numbers are named.
 */
export function checkSpent(arm: string, asked: number, spent: number): void {
  const less = Number.isFinite(asked) && spent < asked * (1 - SLACK)
  const more = spent > asked * (1 + 1e-6)
  if (!less && !more && !(asked === Number.POSITIVE_INFINITY && Number.isFinite(spent))) return
  throw new PretextError(
    `${arm}: expected a run of epsilon ${asked}, got one of epsilon ${spent} by the noise that it really added`,
    {
      code: 'audit',
      hint: more
        ? 'its noise, clip, cohort or number of releases is not what it was calibrated for: this is a defect of the arm'
        : 'it added more noise than it needed: calibrate it with calibrateMechanisms',
      details: { arm, asked, spent },
    },
  )
}
