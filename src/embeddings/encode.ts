// A sentence encoder once its model is loaded, the same in Node and in a browser: token ids -> sums of states -> norm 1.
import type { EmbedderIdentity } from './embedder.ts'
import { type Matrix, matrix, row } from './matrix.ts'
import { normaliseInto, sumStates } from './pooling.ts'
import { runSession, type Session } from './run-session.ts'
import { packBatches } from './tokens.ts'

/** The output with one sum of states for each text, where the graph pools (load-encoder.ts). */
export const SUMS = 'pretext_sums'
export const STATES = 'last_hidden_state'

export interface LoadedEncoder {
  readonly session: Session
  readonly encode: (text: string) => number[]
  readonly dim: number
  /** Padded tokens in one pass of the model. */
  readonly tokensPerBatch: number
  readonly signal?: AbortSignal
}

export async function encodeTexts(texts: readonly string[], encoder: LoadedEncoder): Promise<Matrix> {
  const { session, dim, tokensPerBatch, signal } = encoder
  const ids = texts.map(encoder.encode)
  const out = matrix(texts.length, dim)
  for (const batch of packBatches(
    ids.map((row) => row.length),
    tokensPerBatch,
  )) {
    signal?.throwIfAborted()
    const sums = await summedStates(
      session,
      batch.rows.map((index) => ids[index] as number[]),
    )
    // The direction of the mean is that of the sum.
    batch.rows.forEach((index, i) => {
      normaliseInto(row(sums, i), row(out, index))
    })
  }
  return out
}

/** Sum of the states of each sequence's own tokens: in the graph where it does that, or here. */
async function summedStates(session: Session, sequences: readonly (readonly number[])[]): Promise<Matrix> {
  if (!session.outputNames.includes(SUMS)) {
    return sumStates(
      await runSession(session, sequences, STATES),
      sequences.map((ids) => ids.length),
    )
  }
  const { data } = await runSession(session, sequences, SUMS)
  return matrix(sequences.length, data.length / sequences.length, data)
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
