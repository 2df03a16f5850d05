// A training of seconds: two layers of 32 dimensions on sentences of a few words.
import type { TrainOptions } from '../../src/finetune/train.ts'
import { sentence } from '../run/workspace.ts'

export const PUBLIC = Array.from({ length: 120 }, (_, i) => sentence(9000 + i))

export const TINY = {
  corpus: null,
  publicTexts: { texts: PUBLIC, name: 'public sentences' },
  pretraining: { epochs: 2, batch: 16, learningRate: 3e-3, validationShare: 0.1 },
  training: { epochs: 3, batch: 8, learningRate: 3e-3, validationShare: 0.1 },
  model: { from: 'scratch', layers: 2, width: 32, heads: 2, feedForward: 64, vocabulary: 400 },
  settings: { seed: 1, sequenceTokens: 32, threads: 1, device: 'cpu' },
  command: 'pretext train',
} satisfies Omit<TrainOptions, 'out'>
