// The sentence encoder once its model is loaded, the same in Node and in a browser: token ids -> states -> mean -> norm 1.
import type { EmbedderIdentity } from './embedder.ts'
import { type Matrix, matrix } from './matrix.ts'
import { poolMean } from './pooling.ts'
import { packBatches, padded } from './tokens.ts'
import { runSession, type Transformers } from './transformers.ts'

type Model = Awaited<ReturnType<Transformers['AutoModel']['from_pretrained']>>

export interface LoadedEncoder {
  readonly library: Transformers
  readonly model: Model
  readonly encode: (text: string) => number[]
  readonly dim: number
  /** Padded tokens in one pass of the model. */
  readonly tokensPerBatch: number
  readonly signal?: AbortSignal
}

export async function encodeTexts(texts: readonly string[], encoder: LoadedEncoder): Promise<Matrix> {
  const { library, model, dim, tokensPerBatch, signal } = encoder
  const ids = texts.map(encoder.encode)
  const out = matrix(texts.length, dim)
  const lengths = ids.map((row) => row.length)
  for (const batch of packBatches(lengths, tokensPerBatch)) {
    signal?.throwIfAborted()
    const rows = batch.rows.map((index) => ids[index] as number[])
    const states = await hiddenStates(library, model, rows)
    batch.rows.forEach((index, i) => {
      poolMean(states, i, lengths[index] as number, out, index)
    })
  }
  return out
}

/** Runs the encoder on padded sequences: batch x tokens x dim states. */
export function hiddenStates(library: Transformers, model: Model, rows: readonly (readonly number[])[]) {
  const { inputs, shape } = padded(rows)
  return runSession(library, model, inputs, shape, 'last_hidden_state')
}

/** What an encoder with these weights is called, wherever it runs. */
export function onnxIdentity(of: {
  readonly modelId: string
  readonly sha256: string
  readonly dtype: string
  readonly maxTokens: number
  readonly dim: number
}): EmbedderIdentity {
  const { modelId, sha256, dtype, maxTokens, dim } = of
  return {
    kind: 'onnx',
    model: modelId,
    sha256,
    dtype,
    pooling: `mean of ${maxTokens} tokens`,
    normalised: true,
    dim,
  }
}
