// The job "dr-encoder" (arXiv 2412.17053, DR-Encoder; settings after its predecessor CG-FedLLM, arXiv 2405.13746): federated
// LoRA whose updates travel through a codec that never saw one. What the paper leaves open is an option here.
import { z } from 'zod'
import { ARM_INPUTS } from './arm-job.ts'

const count = z.int().min(1)
const noise = z.number().min(0)

/** The codecs of the paper and the controls that tell what it adds. */
export const DR_ENCODER_CODECS = [
  'autoencoder',
  'identity',
  'random-projection',
  'pca',
  'prior-mean',
  'zero',
] as const

export const DrEncoderJob = z.strictObject({
  kind: z.literal('dr-encoder'),
  ...ARM_INPUTS,
  /** JSON lines, {"text": ...} each: for clips that are not given, for a prior that costs nothing, for controls. */
  publicTexts: z.string().nullable().default(null),
  /** Texts of one client, at most. */
  textsPerClient: count.nullable().default(8),
  lora: z
    .strictObject({
      rank: count.default(8),
      alpha: z.number().positive().default(16),
      dropout: z.number().min(0).max(0.9).default(0.05),
    })
    .prefault({}),
  /** A client's training in one round: fresh AdamW. */
  local: z
    .strictObject({
      epochs: count.default(1),
      batch: count.default(8),
      learningRate: z.number().positive().default(3.5e-4),
      clipNorm: z.number().positive().default(1),
    })
    .prefault({}),
  rounds: count.default(20),
  sampling: z.enum(['all', 'poisson', 'fixed']).default('poisson'),
  /** Of the clients, in one round. */
  rate: z.number().positive().max(1).default(0.05),
  serverRate: z.number().positive().default(1),
  codec: z.enum(DR_ENCODER_CODECS).default('autoencoder'),
  /** Before or after the code; the paper's text and its formula differ. */
  noise: z.enum(['pre_encode', 'post_encode']).default('post_encode'),
  /** central: on the sum of messages, which the server sees alone. local: each client on its own message. */
  noiseBy: z.enum(['central', 'local']).default('central'),
  decode: z.enum(['after_mean', 'per_client']).default('after_mean'),
  /** Noise divided by the clip. 0: no guarantee. */
  noiseMultiplier: noise.default(0),
  /** L2 bound of an update; null: the median norm of updates on public texts. */
  clip: z
    .union([z.number().positive(), z.literal('none')])
    .nullable()
    .default(null),
  /** L2 bound of a code under post_encode; null: from the codec and the prior. */
  latentClip: z.number().positive().nullable().default(null),
  statistics: z
    .strictObject({
      source: z.enum(['public', 'clients']).default('clients'),
      /** Of each client's texts, for stage 1. */
      share: z.number().positive().max(1).default(0.3),
      epochs: count.default(2),
      noiseMultiplier: noise.default(0),
      /** L2 bound of one client's statistics; null: the median of public texts. */
      clip: z.number().positive().nullable().default(null),
    })
    .prefault({}),
  autoencoder: z
    .strictObject({
      steps: count.default(300),
      batch: count.default(8),
      learningRate: z.number().positive().default(2e-4),
      /** public-updates: a control that sees real updates, of public texts. */
      trainOn: z.enum(['prior', 'public-updates']).default('prior'),
    })
    .prefault({}),
  checkpointRounds: count.default(5),
})
