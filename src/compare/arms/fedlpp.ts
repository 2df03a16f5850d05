// FedLPP (arXiv 2406.10976): federated LoRA; clients get the adapter in a few bits for each value and the server keeps the
// exact one, so that it holds the better model. With noise on the sum of the clients' updates it is DP-FedAvg on the adapter:
// the quantised delivery is computed from earlier releases and costs nothing. Without noise it protects no client.
import { z } from 'zod'
import { defineArm } from '../arm.ts'
import { cohortOf, cohortSettings, roundsOf } from '../cohort.ts'
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
  ...cohortSettings(0.1),
  localEpochs: count.default(1),
  localBatch: count.default(8),
  localRate: amount.default(1e-3),
  serverRate: amount.default(1),
  clip: amount.default(1).describe('L2 bound of one update'),
  textsPerClient: count.default(16),
  attackers: count.default(3).describe('Clients who try to build a better model from what they got'),
  healingEpochs: z.int().nonnegative().default(5).describe('Passes over their own texts that they add'),
})

export const fedlpp = defineArm({
  name: 'fedlpp',
  about:
    'federated LoRA whose clients get the adapter in 2 bits a value while the server keeps the exact one (FedLPP)',
  guarantee: 'client',
  epsilons: 'each',
  settings: SETTINGS,
  grid: { localRate: [1e-3, 3e-3], clip: [1, 0.3], serverRate: [1, 0.3] },
  async run(task, { rate, sampling, ...rest }) {
    const cohort = cohortOf(task, { rate, sampling })
    // The least with which all rounds together spend the asked epsilon.
    const noiseMultiplier =
      task.epsilon === Number.POSITIVE_INFINITY
        ? null
        : calibrateMechanisms(task.epsilon, task.inputs, (noise) => [
            roundsOf(task, cohort, rest.rounds, noise),
          ])
    return task.runJob<'fedlpp'>({ kind: 'fedlpp', ...task.inputs, ...rest, ...cohort, noiseMultiplier })
  },
})
