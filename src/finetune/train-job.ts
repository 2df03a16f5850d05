// The job "train": a language model on a corpus, from scratch or from a checkpoint, all weights or LoRA. Defaults are the
// paper's (PrE-Text, section 5: AdamW 2e-4, batch 256, 64 tokens; LoRA r 4, alpha 8 on all projections), except that the
// best epoch is chosen on synthetic texts that were held out, never on the evaluation set.
import { z } from 'zod'

const count = z.int().min(1)

/** What is learned from, and how. */
export const Stage = z.strictObject({
  /** JSON lines, {"text": ...} each. */
  texts: z.string(),
  /** What the texts are, for the log and the card. */
  name: z.string(),
  /** A text longer than a sequence is cut (the paper), or split into several. */
  long: z.enum(['cut', 'split']).default('cut'),
  /** Share of the texts held out to choose the best epoch; 0 holds out none and keeps the last epoch. */
  validationShare: z.number().min(0).max(0.5).default(0.05),
  epochs: count.default(20),
  /** Epochs without a better validation loss before it stops; 0: never. */
  patience: z.int().min(0).default(2),
  learningRate: z.number().positive().default(2e-4),
  schedule: z.enum(['constant', 'linear', 'cosine']).default('constant'),
  warmupSteps: z.int().min(0).default(0),
  weightDecay: z.number().min(0).default(0.01),
  /** Gradients are scaled down to this L2 norm. */
  clipNorm: z.number().positive().default(1),
  /** Sequences behind one step of the optimiser, over all processes. */
  batch: count.default(256),
  /** Sequences at once on one device; halved when memory runs out, the batch stays. */
  microBatch: count.default(64),
  /** Stops after this many steps, whatever the epochs say. */
  maxSteps: count.optional(),
})

const Scratch = z.strictObject({
  from: z.literal('scratch'),
  layers: count.default(6),
  width: count.default(384),
  heads: count.default(6),
  feedForward: count.default(1024),
  /** Entries of the byte-level BPE vocabulary. */
  vocabulary: count.default(8192),
  /** JSON lines that the vocabulary is learned from. */
  vocabularyTexts: z.string().nullable().default(null),
  /** Folder with tokenizer.json, instead of learning one. */
  tokenizer: z.string().nullable().default(null),
})

const Checkpoint = z.strictObject({
  from: z.enum(['folder', 'hub', 'gguf']),
  /** Folder, Hub id (owner/name) or GGUF file. */
  model: z.string(),
  revision: z.string().nullable().default(null),
})

const Lora = z.strictObject({
  rank: count.default(4),
  alpha: z.number().positive().default(8),
  dropout: z.number().min(0).max(0.9).default(0),
  /** nf4: the base in four bits (QLoRA), by bitsandbytes. */
  quantise: z.enum(['none', 'nf4']).default('none'),
})

export const TrainJob = z.strictObject({
  kind: z.literal('train'),
  /** Folder of the result: model/, checkpoints/, training.json. */
  out: z.string(),
  resume: z.boolean().default(false),
  seed: z.int().min(0).default(0),
  sequenceTokens: z.int().min(8).default(64),
  model: z.discriminatedUnion('from', [Scratch, Checkpoint]),
  /** null: all weights are trained. */
  lora: Lora.nullable().default(null),
  /** In order: public pre-training, then the corpus. */
  stages: z.array(Stage).min(1),
  /** Also write model.gguf. */
  gguf: z.boolean().default(true),
  device: z.enum(['auto', 'cpu']).default('auto'),
  /** auto: as many as there are GPUs, else one. */
  processes: z.union([z.literal('auto'), count]).default('auto'),
  threads: count.nullable().default(null),
  precision: z.enum(['auto', 'fp32', 'bf16']).default('auto'),
  /** null: by time alone. */
  checkpointSteps: count.nullable().default(null),
  checkpointSeconds: z.number().positive().default(60),
})

const StageResult = z.strictObject({
  name: z.string(),
  texts: z.int(),
  heldOut: z.int(),
  sequences: z.int(),
  /** Tokens that count in the loss, each time they were seen. */
  tokens: z.int(),
  steps: z.int(),
  epochs: z.number(),
  bestEpoch: z.number().nullable(),
  trainLoss: z.number(),
  /** Before the stage, and at the epoch that was kept; null where nothing was held out. */
  validationBefore: z.number().nullable(),
  validationLoss: z.number().nullable(),
  stoppedEarly: z.boolean(),
  microBatch: z.int(),
  seconds: z.number(),
  /** Process time, held-out texts included, of all processes that worked on the stage; on a GPU the host's part. */
  cpuSeconds: z.number().min(0),
  tokensPerSecond: z.number(),
  history: z.array(
    z.strictObject({ epoch: z.number(), trainLoss: z.number(), validationLoss: z.number().nullable() }),
  ),
})

export const TrainResult = z.strictObject({
  model: z.string(),
  adapter: z.string().nullable(),
  gguf: z.string().nullable(),
  architecture: z.string(),
  parameters: z.int(),
  trainedParameters: z.int(),
  vocabulary: z.int(),
  /** The start was a GGUF, whose weights were rounded before; training began at what they became. */
  dequantised: z.boolean(),
  device: z.string(),
  processes: z.int(),
  precision: z.string(),
  stages: z.array(StageResult),
  versions: z.record(z.string(), z.string()),
})
export type TrainResult = z.infer<typeof TrainResult>
