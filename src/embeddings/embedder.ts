// Text to embedding. An Embedder runs in this process, so that private texts may pass through it; nothing here may
// send a text elsewhere (design rule 4.1).
import type { Matrix } from './matrix.ts'

/** What identifies an embedder: two runs with the same identity place a text at the same point. */
export interface EmbedderIdentity {
  readonly kind: string
  readonly model: string
  readonly sha256: string
  readonly dtype: string
  readonly pooling: string
  readonly normalised: boolean
  readonly dim: number
}

export interface Embedder {
  readonly identity: EmbedderIdentity
  /** Where it runs, and why there, in words for the user ("cpu: no CUDA provider was found"). */
  readonly device: { readonly name: 'cpu' | 'webgpu' | 'cuda'; readonly why: string }
  /** How many calls at once keep it busy. */
  readonly parallel: number
  /**
   * One row per text, in order; unit L2 norm. The rows of one call may depend on each other in the last float bits
   * (padding, blocking), so a caller that holds private texts must call once per client: a client's embeddings then
   * depend on its own texts alone.
   */
  embed(texts: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<Matrix>
  dispose(): Promise<void>
}
