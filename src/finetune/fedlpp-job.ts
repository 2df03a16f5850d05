// The job "fedlpp": federated LoRA whose clients get a quantised adapter while the server keeps the exact one (FedLPP, arXiv
// 2406.10976), and how much less a client holds than the server. Simulation texts alone, like every arm.
import { z } from 'zod'
import { ARM_INPUTS } from './arm-job.ts'

const count = z.int().min(1)
/** 16: delivered as it is, which is federated averaging. */
const bits = z.union([z.literal(1), z.literal(2), z.literal(3), z.literal(4), z.literal(16)])

export const FedlppJob = z.strictObject({
  kind: z.literal('fedlpp'),
  ...ARM_INPUTS,
  /** Bits for each value of the adapter that clients get. */
  bits: bits.default(2),
  /** Trained beside it for the table of gaps, from the same start. */
  otherBits: z.array(bits).default([]),
  /** Values that share a scale. */
  block: z.int().min(8).default(256),
  rank: count.default(8),
  alpha: z.number().positive().default(16),
  rounds: count.default(30),
  cohort: count.default(10),
  sampling: z.enum(['all', 'poisson', 'fixed']).default('poisson'),
  textsPerClient: count.default(16),
  localEpochs: count.default(1),
  localBatch: count.default(8),
  localRate: z.number().positive().default(1e-3),
  weightDecay: z.number().min(0).default(0.01),
  serverRate: z.number().positive().default(1),
  /** What the mean update is added to: the server's own adapter (keep), or as other public code does. */
  rule: z.enum(['keep', 'overwrite', 'pull', 'pull-decay']).default('keep'),
  /** L2 bound on one client's update of a round. */
  clip: z.number().positive().default(1),
  /** Noise on the sum of a round, divided by `clip`; null: no noise and no bound, and no guarantee. */
  noiseMultiplier: z.number().positive().nullable().default(null),
  /** Clients who try to build a better model from what they got: those with the most texts. */
  attackers: count.default(3),
  /** Passes over its own texts that an attacker adds, one model after each. */
  healingEpochs: z.int().min(0).default(5),
  evaluateEvery: count.default(10),
  checkpointRounds: count.default(5),
})
