// FedLPP (arXiv 2406.10976): federated LoRA; clients get the adapter in a few bits for each value and the server keeps the
// exact one, so that it holds the better model. With noise on the sum of the clients' updates it is DP-FedAvg on the adapter:
// the quantised delivery is computed from earlier releases and costs nothing. Without noise it protects no client.
import { z } from 'zod'
import type { ArmMechanism } from '../../finetune/arm-job.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { calibrateMechanisms } from '../epsilon.ts'

const count = z.int().positive()
const amount = z.number().positive()
const bits = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(16)])

const SETTINGS = z.strictObject({
  bits: bits
    .default(2)
    .describe(
      'Bits for each value of the adapter that clients get; 16: as it is, which is federated averaging',
    ),
  otherBits: z.array(bits).default([]).describe('Widths that are trained beside it, for the table of gaps'),
  block: count.default(256).describe('Values that share a scale'),
  rule: z.enum(['keep', 'overwrite', 'pull', 'pull-decay']).default('keep'),
  rank: count.default(8),
  alpha: amount.default(16),
  rounds: count.default(30),
  rate: amount.max(1).default(0.1).describe('Share of the clients in one round'),
  sampling: z
    .enum(['all', 'poisson', 'fixed'])
    .optional()
    .describe(
      'By default what the adjacency has a theorem for: poisson under add-remove, fixed under substitution',
    ),
  localEpochs: count.default(1),
  localBatch: count.default(8),
  localRate: amount.default(1e-3),
  serverRate: amount.default(1),
  clip: amount.default(1).describe('L2 bound of one update'),
  textsPerClient: count.default(16),
  attackers: count.default(3).describe('Clients who try to build a better model from what they got'),
  healingEpochs: z.int().nonnegative().default(5).describe('Passes over their own texts that they add'),
})
type Settings = z.output<typeof SETTINGS>

export const fedlpp = defineArm({
  name: 'fedlpp',
  about:
    'federated LoRA whose clients get the adapter in 2 bits a value while the server keeps the exact one (FedLPP)',
  guarantee: 'client',
  epsilons: 'each',
  settings: SETTINGS,
  grid: { localRate: [1e-3, 3e-3], clip: [1, 0.3], serverRate: [1, 0.3] },
  async run(task, settings) {
    const { rate: _, sampling: __, ...rest } = settings
    return task.runJob<'fedlpp'>({
      kind: 'fedlpp',
      ...task.inputs,
      ...rest,
      ...sampled(task, settings),
      noiseMultiplier: noiseFor(task, settings),
    })
  },
})

function sampled(
  { inputs, clients }: ArmTask,
  { rate, sampling }: Settings,
): { sampling: 'all' | 'poisson' | 'fixed'; cohort: number } {
  const by = sampling ?? (inputs.adjacency === 'add-remove' ? 'poisson' : 'fixed')
  return { sampling: by, cohort: by === 'all' ? clients : Math.max(1, Math.round(clients * rate)) }
}

/** The least noise multiplier with which all rounds together spend the asked epsilon; null where none is asked for. */
function noiseFor(task: ArmTask, settings: Settings): number | null {
  if (task.epsilon === Number.POSITIVE_INFINITY) return null
  const round: ArmMechanism = {
    ...sampled(task, settings),
    sigma: 1,
    clip: 1,
    releases: settings.rounds,
    clients: task.clients,
    contributions: 'signed',
    maxParticipations: settings.rounds,
  }
  return calibrateMechanisms(task.epsilon, task.inputs, (sigma) => [{ ...round, sigma }])
}
