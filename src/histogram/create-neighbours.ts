// The search that a config asks for. `auto` is exact search: hnsw was measured beside it, and was slower to build and to ask
// at every size that was tried (bench/hnsw.ts, bench/RESULTS.md), and it misses neighbours.
import type { Matrix } from '../embeddings/matrix.ts'
import { createExactNeighbours } from './exact.ts'
import { createHnswNeighbours } from './hnsw.ts'
import type { Neighbours, NeighboursOptions } from './neighbours.ts'

export interface CreateNeighboursOptions extends NeighboursOptions {
  readonly backend: 'exact' | 'hnsw' | 'auto'
  /** Of exact search; default all cores. */
  readonly threads?: number
}

/** Throws RangeError for no candidates, and PretextError `dependency` for hnsw without its optional package. */
export async function createNeighbours(
  candidates: Matrix,
  { backend, distance, seed, threads }: CreateNeighboursOptions,
): Promise<Neighbours> {
  if (candidates.rows === 0) throw new RangeError('expected at least one candidate, got none')
  if (backend === 'hnsw') return createHnswNeighbours(candidates, { distance, seed })
  return createExactNeighbours(candidates, { distance, ...(threads === undefined ? {} : { threads }) })
}
