// The two jobs of evaluation: a language model on real texts (sums for each client), and sets of synthetic texts against real
// ones (figures with intervals). Only figures come back.
import { z } from 'zod'

const count = z.int().min(1)

export const EvaluateModelJob = z.strictObject({
  kind: z.literal('evaluate-model'),
  /** Folder with config.json, weights and tokenizer. */
  model: z.string(),
  /** JSON lines, {"client": number, "text": ...} each. */
  texts: z.string(),
  /** The paper cuts texts to 64 tokens. */
  sequenceTokens: z.int().min(2).default(64),
  microBatch: count.default(32),
  device: z.enum(['auto', 'cpu']).default('auto'),
  threads: count.nullable().default(null),
})

export const EvaluateModelResult = z.strictObject({
  clients: z.array(
    z.strictObject({
      tokens: z.int().min(0),
      /** Sum over its tokens, in nats. */
      crossEntropy: z.number(),
      /** Tokens whose true successor was among the best 1, 3, 5, 10. */
      correct: z.array(z.int().min(0)).length(4),
      /** Of the text that the tokens stand for, in UTF-8. */
      bytes: z.int().min(0),
    }),
  ),
  texts: z.int(),
  /** Texts that were longer than a sequence. */
  cut: z.int(),
  vocabulary: z.int(),
  parameters: z.int(),
  device: z.string(),
})

export const CORPUS_METRICS = [
  'nearest-distance',
  'fid',
  'mauve',
  'precision',
  'recall',
  'length-distance',
  'vocabulary-divergence',
  'distinct-1',
  'distinct-2',
  'self-bleu',
  'classifier-accuracy',
  'classifier-f1',
] as const

export const EvaluateCorporaJob = z.strictObject({
  kind: z.literal('evaluate-corpora'),
  /** Folder with reference.jsonl, reference.f32, and the same two files of each set of a column. */
  folder: z.string(),
  /** Dimensions of the embeddings. */
  dim: count,
  /** Sets of one column are of one size: corpora of several seeds. */
  columns: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()).min(1) })).min(1),
  metrics: z.array(z.enum(CORPUS_METRICS)).min(1),
  /** k of precision and recall. */
  neighbours: count.default(3),
  /** Draws for each interval, at most. */
  resamples: z.int().min(2).default(1000),
  seed: z.int().min(0).default(0),
})

const Figure = z.strictObject({
  value: z.number(),
  low: z.number(),
  high: z.number(),
  /** Texts it was computed on, where that is a sample of the column. */
  texts: z.int().optional(),
})

export const EvaluateCorporaResult = z.strictObject({
  referenceTexts: z.int(),
  referenceClients: z.int(),
  columns: z.array(
    z.strictObject({
      name: z.string(),
      texts: z.int(),
      figures: z.partialRecord(z.enum(CORPUS_METRICS), Figure),
      /** Why a metric has no figure. */
      skipped: z.partialRecord(z.enum(CORPUS_METRICS), z.string()),
    }),
  ),
})
