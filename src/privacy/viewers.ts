// Who sees what. Sampling hides a client only from those who do not know whether it took part: for everybody outside it
// amplifies, for the coordinator that chose the cohort it does nothing, and the guarantee is that of q = 1. Both numbers,
// under both adjacencies, from one description, so that neither is quoted without the other.
//
// A number is missing where no theorem is at hand: Poisson sampling is accounted under add-remove (under substitution the
// outside number falls back to q = 1, which holds for every sample and so for the mixture of them, by joint convexity); a
// cohort of fixed size changes by two clients when one leaves, so its outside number exists under substitution alone.
import { type Accountant, account } from './accountant.ts'
import type { MechanismEvent } from './events.ts'
import { type Adjacency, sensitivityFactor } from './units.ts'

/** Equal Gaussian releases, each on a sample of the clients. */
export interface SampledReleases {
  /** sigma divided by the L2 sensitivity under `adjacency`. > 0. */
  readonly noiseMultiplier: number
  readonly adjacency: Adjacency
  /** A positive integer. */
  readonly releases: number
  /** Poisson: a secret coin for each client. fixed: a secret cohort of rate x clients. */
  readonly sampling: 'poisson' | 'fixed'
  /** In [0, 1]; 1 is everybody. */
  readonly rate: number
  /** Votes are non-negative, updates of models are signed: what substitution costs depends on it. */
  readonly contributions: 'non-negative' | 'signed'
}

export type EpsilonByAdjacency = Readonly<Record<Adjacency, number | undefined>>

export interface ViewerEpsilons {
  /** Those who see releases but not who took part. */
  readonly outside: EpsilonByAdjacency
  /** Those who know who took part. */
  readonly coordinator: EpsilonByAdjacency
}

/** The events of these releases as a viewer sees them, with the noise relative to the sensitivity under `adjacency`. */
export function eventsSeen(
  releases: SampledReleases,
  viewer: keyof ViewerEpsilons,
  adjacency: Adjacency,
): readonly MechanismEvent[] {
  const { contributions, sampling, rate } = releases
  // sigma stays; only the sensitivity that it is divided by changes.
  const factor =
    sensitivityFactor(releases.adjacency, contributions) / sensitivityFactor(adjacency, contributions)
  const gaussian: MechanismEvent = {
    type: 'gaussian',
    noiseMultiplier: releases.noiseMultiplier * factor,
  }
  const event: MechanismEvent =
    viewer === 'coordinator' || rate === 1
      ? gaussian
      : { type: sampling === 'poisson' ? 'poissonSampled' : 'fixedSizeSampled', rate, event: gaussian }
  return [{ type: 'repeated', count: releases.releases, event }]
}

/**
 * Epsilon at delta for both viewers under both adjacencies, by one accountant, or by the best for each (`account`).
 * Undefined where the accountant has no answer.
 */
export function viewerEpsilons(
  releases: SampledReleases,
  delta: number,
  accountant?: Accountant,
): ViewerEpsilons {
  const epsilon = (viewer: keyof ViewerEpsilons, adjacency: Adjacency): number | undefined => {
    const events = eventsSeen(releases, viewer, adjacency)
    if (accountant === undefined) return account(events, delta, adjacency).epsilon
    return accountant.refusal(events, adjacency) === undefined
      ? accountant.epsilon(events, delta, adjacency)
      : undefined
  }
  const coordinator = {
    'add-remove': epsilon('coordinator', 'add-remove'),
    substitution: epsilon('coordinator', 'substitution'),
  }
  if (releases.rate === 1) return { outside: coordinator, coordinator }
  const outside =
    releases.sampling === 'poisson'
      ? { 'add-remove': epsilon('outside', 'add-remove'), substitution: coordinator.substitution }
      : { 'add-remove': undefined, substitution: epsilon('outside', 'substitution') }
  return { outside, coordinator }
}
