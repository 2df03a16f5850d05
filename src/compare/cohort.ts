// Who takes part in a round of an arm that trains in rounds: the settings of it, what they come to for a number of clients, and
// the mechanism that noise is calibrated for before anything runs.
import { z } from 'zod'
import type { ArmMechanism } from '../finetune/arm-job.ts'
import type { ArmTask } from './arm.ts'

/** Settings of an arm, to be spread into the strict object of them. */
export const cohortSettings = (share: number) => ({
  rate: z.number().positive().max(1).default(share).describe('Share of the clients in one round'),
  sampling: z
    .enum(['all', 'poisson', 'fixed'])
    .optional()
    .describe(
      'By default what the adjacency has a theorem for: poisson under add-remove, fixed under substitution',
    ),
})

export interface CohortSettings {
  readonly rate: number
  readonly sampling?: 'all' | 'poisson' | 'fixed' | undefined
}

export interface Cohort {
  readonly sampling: 'all' | 'poisson' | 'fixed'
  /** Clients of one round; with Poisson sampling the number that is expected. */
  readonly cohort: number
}

export function cohortOf({ inputs, clients }: ArmTask, { rate, sampling }: CohortSettings): Cohort {
  const by = sampling ?? (inputs.adjacency === 'add-remove' ? 'poisson' : 'fixed')
  return { sampling: by, cohort: by === 'all' ? clients : Math.max(1, Math.round(clients * rate)) }
}

/** `releases` noised sums of signed updates, with noise in multiples of their bound. */
export function roundsOf(task: ArmTask, cohort: Cohort, releases: number, noise: number): ArmMechanism {
  return {
    ...cohort,
    sigma: noise,
    clip: 1,
    releases,
    clients: task.clients,
    contributions: 'signed',
    maxParticipations: releases,
  }
}
