// The job "scaleot" (arXiv 2412.09812, ScaleOT): offsite tuning. The owner of a model makes a lossy emulator on public texts,
// the data owner tunes its adapter layers, and these are plugged back into the whole model.
import { z } from 'zod'
import { ARM_INPUTS } from './arm-job.ts'

const count = z.int().min(1)
const share = z.number().min(0).max(1)

export const ScaleotJob = z.strictObject({
  kind: z.literal('scaleot'),
  ...ARM_INPUTS,
  /** JSON lines, {"text": ...} each: all that the model's owner learns importance and harmonizers from. */
  publicTexts: z.string(),
  /** Texts of one client, at most. */
  textsPerClient: count.nullable().default(8),
  /** Trainable layers: half at each end (offsite tuning), or those with the highest importance. */
  adapters: z
    .strictObject({
      layers: count.default(4),
      place: z.enum(['ends', 'importance']).default('ends'),
      /** lora: on the attention of the adapter layers, merged before they are plugged back. */
      tune: z.enum(['full', 'lora']).default('full'),
      rank: count.default(8),
    })
    .prefault({}),
  /**
   * alpha: of the other layers, the share that is replaced; beta: by how much the rank of the attention of those that stay is
   * reduced (rank kept: 1 - beta). The first is the arm's model.
   */
  emulators: z
    .array(
      z.strictObject({
        method: z.enum(['replace', 'drop']).default('replace'),
        alpha: share,
        beta: share.default(0),
      }),
    )
    .min(1)
    .default([
      { method: 'replace', alpha: 0.5, beta: 0.6 },
      { method: 'replace', alpha: 0.25, beta: 0 },
      { method: 'replace', alpha: 0.5, beta: 0 },
      { method: 'replace', alpha: 0.75, beta: 0 },
      { method: 'drop', alpha: 0.25, beta: 0 },
      { method: 'drop', alpha: 0.5, beta: 0 },
      { method: 'drop', alpha: 0.75, beta: 0 },
    ]),
  /** Dynamic LayerReplace: what each layer is worth, and what stands in for it. */
  search: z
    .strictObject({
      steps: count.default(1000),
      batch: count.default(16),
      learningRate: z.number().positive().default(1e-4),
      /** Of the importance scores. */
      scoreRate: z.number().positive().default(1),
      /** standardised: rewards divided by their spread, which raw ones (exp of minus a loss) need to move anything. */
      reward: z.enum(['standardised', 'raw']).default('standardised'),
      /** Masks that are compared in one step. */
      candidates: z.int().min(2).default(3),
      /** Layers of which half are replaced together. */
      group: z.int().min(2).default(4),
      /** Width of a harmonizer. */
      width: count.default(64),
      checkpointSteps: count.default(200),
    })
    .prefault({}),
  /** The data owner's training: fresh AdamW. */
  local: z
    .strictObject({
      epochs: count.default(1),
      batch: count.default(8),
      learningRate: z.number().positive().default(2e-4),
      clipNorm: z.number().positive().default(1),
    })
    .prefault({}),
  /** one: a data owner that holds all clients' texts. each: every client for itself, the adapters' changes averaged. */
  owners: z.enum(['one', 'each']).default('each'),
  /** With one owner: how often its texts are gone through, `local.epochs` each time. */
  rounds: count.default(20),
  sampling: z.enum(['all', 'poisson', 'fixed']).default('poisson'),
  rate: z.number().positive().max(1).default(0.05),
  serverRate: z.number().positive().default(1),
  /** DP on the adapters (owners: each): noise divided by the clip, on the sum of changes. 0: no guarantee. */
  noiseMultiplier: z.number().min(0).default(0),
  /** L2 bound of a client's change; null: the median norm on public texts. */
  clip: z
    .union([z.number().positive(), z.literal('none')])
    .nullable()
    .default(null),
  /** Also tune the whole model (the upper bound), which the data owner never gets. */
  fullTuning: z.boolean().default(true),
})
