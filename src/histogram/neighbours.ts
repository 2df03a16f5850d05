// The nearest candidates of each text: PrE-Text Algorithm 1, the argmin inside the histogram.
import type { Matrix } from '../embeddings/matrix.ts'

export type Distance = 'l2' | 'cosine'

/** k nearest candidates of each query row, nearest first; ties go to the lower index. */
export interface Nearest {
  /** rows x k candidate indices, row-major. */
  readonly indices: Int32Array
  readonly k: number
}

export interface Neighbours {
  readonly backend: 'exact' | 'hnsw'
  /** recall@k against exact search, measured on synthetic text; 1 for exact. */
  readonly recall: number
  /** A row's answer depends on that row alone, whatever the others are: texts of several clients may be in one call. */
  nearest(queries: Matrix, k: number): Promise<Nearest>
  dispose(): Promise<void>
}

export interface NeighboursOptions {
  readonly distance: Distance
  /** Seeds the index construction (hnsw) and the choice of recall queries. */
  readonly seed: number
}
