// The job "dp-prompt": a language model on the device rewrites each text of a client, token by token, by an exponential
// mechanism (Utpala, Hooker and Chen, DP-Prompt, EMNLP Findings 2023): logits are clipped to a range that depends on no text
// and sampled at a temperature. Local DP for one text; over simulation texts alone.
import { z } from 'zod'

const count = z.int().min(1)
const amount = z.number().min(0)

export const DpPromptJob = z.strictObject({
  kind: z.literal('dp-prompt'),
  /** Folder of the result: corpus.jsonl. An unfinished one goes on with `resume`. */
  out: z.string(),
  resume: z.boolean().default(false),
  /** JSON lines, {"client": ..., "text": ...} each. */
  clients: z.string(),
  model: z.strictObject({
    from: z.enum(['folder', 'hub', 'gguf']),
    model: z.string(),
    revision: z.string().nullable().default(null),
  }),
  /** With {text} in it. */
  prompt: z.string(),
  /** Of one text; null: no clipping and temperature 1, which promises nothing. */
  epsilon: z.number().positive().nullable(),
  /** Logits are clipped to [low, high]. */
  low: z.number(),
  high: z.number(),
  /** New tokens of one text, at most; each is one release. */
  tokens: count.default(40),
  /** Tokens of the text that are shown to the model. */
  inputTokens: count.default(64),
  textsPerClient: count.nullable().default(null),
  seed: z.int().min(0).default(0),
  microBatch: count.default(16),
  device: z.enum(['auto', 'cpu']).default('auto'),
  threads: count.nullable().default(null),
})

export const DpPromptResult = z.strictObject({
  corpus: z.string(),
  texts: z.int().min(0),
  clients: count,
  /** By clip, temperature and number of tokens: 2 x tokens x (high - low) / temperature; null: nothing is promised. */
  epsilonPerText: z.number().nullable(),
  temperature: z.number().positive(),
  /** Mean UTF-8 bytes of what one client sends. */
  bytesUpPerClient: amount,
  /** Process time and matrix operations of one client, on average. */
  clientCpuSeconds: amount,
  clientFlops: amount,
  /** Prompt and new tokens. */
  llmTokens: z.int().min(0),
  parameters: count,
})
