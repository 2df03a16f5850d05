// The job "lora-dp-sgd": DP-SGD on LoRA's B with A frozen, and beside it plain LoRA in its forms, whose random A puts noise
// into the gradient ("LoRA imitates DP-SGD", arXiv 2409.17538): how much noise, how Gaussian, and what membership inference
// still finds. Only the method dp has a guarantee. Simulation texts alone, like every arm.
import { z } from 'zod'
import { ARM_INPUTS } from './arm-job.ts'

const count = z.int().min(1)

/** What is trained, and how; see trainer/pretext_trainer/lora_dp_sgd/row.py. */
export const LORA_METHODS = ['dp', 'lora', 'orthonormal', 'lora-both', 'flora', 'full', 'full-noise'] as const

const ROW = {
  rank: count.default(16),
  optimiser: z.enum(['sgd', 'adamw']).default('adamw'),
  learningRate: z.number().positive().default(3e-3),
} as const

export const LoraDpSgdJob = z.strictObject({
  kind: z.literal('lora-dp-sgd'),
  ...ARM_INPUTS,
  method: z.enum(LORA_METHODS).default('dp'),
  ...ROW,
  /** L2 bound on one client's gradient of B; the method dp alone has one. */
  clip: z.number().positive().default(1),
  /** Noise on the sum of a step, divided by `clip`; what the method dp needs and the others must not have. */
  noiseMultiplier: z.number().positive().nullable().default(null),
  steps: count.default(100),
  /** Clients of one step (Poisson sampling: expected). */
  cohort: count.default(50),
  sampling: z.enum(['all', 'poisson', 'fixed']).default('poisson'),
  textsPerClient: count.default(8),
  /** Trained beside it for the table, each from the same start, without a guarantee. */
  others: z.array(z.strictObject({ method: z.enum(LORA_METHODS).exclude(['dp']), ...ROW })).default([]),
  /** Times that loss and attacks are measured on the way, at equal distances; the last is the end. */
  looks: count.default(4),
  /** Clients of each kind that are attacked, at most. */
  attackClients: count.default(1000),
  resamples: count.default(1000),
  /** Ranks for which the noise in the gradient is measured. */
  noiseRanks: z.array(count).default([]),
  microBatch: count.default(32),
  checkpointSteps: count.default(50),
})
