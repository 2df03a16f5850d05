// How corpora are trained on where nothing is said: the paper's settings (section 5), and what an arm's grid may vary of them.
import { z } from 'zod'
import type { StageSettings } from '../finetune/train.ts'

/** AdamW 2e-4, batch 256, 20 epochs at most; the best epoch by texts held out of the corpus. */
export const TRAINING_DEFAULTS = {
  epochs: 20,
  learningRate: 2e-4,
  batch: 256,
} as const satisfies StageSettings

/** What a corpus arm may set of its training; what is absent is as the comparison says. */
export const TRAINING_SETTINGS = {
  learningRate: z.number().positive().optional(),
  epochs: z.int().min(1).optional(),
  batch: z.int().min(1).optional(),
  /** Texts of the corpus that are trained on, drawn at random; all of them by default. */
  corpusTexts: z.int().min(2).optional(),
  /** Public texts that are mixed into what is trained on, as a share of its size. */
  publicShare: z.number().min(0).default(0),
} as const

/** What an arm may set that makes its corpus too. */
export const CORPUS_SETTINGS = z.strictObject({
  ...TRAINING_SETTINGS,
  /** Keys of the run's config, as of --set. */
  set: z.record(z.string(), z.unknown()).default({}),
})

export interface TrainingSettings {
  readonly learningRate?: number | undefined
  readonly epochs?: number | undefined
  readonly batch?: number | undefined
  readonly corpusTexts?: number | undefined
  readonly publicShare: number
}

/** The grid of every arm that trains on a corpus. */
export const TRAINING_GRID = { learningRate: [1e-4, 3e-4, 1e-3], epochs: [2, 10] } as const

export function trainingOf(
  training: StageSettings,
  { publicShare: _, corpusTexts: __, ...own }: TrainingSettings,
): StageSettings {
  const given = Object.entries(own).filter(([, value]) => value !== undefined)
  return { ...training, ...Object.fromEntries(given) }
}
