// The search that a config asks for. Exact is the default: where hnsw was measured beside it, up to 10,000 candidates, it was
// faster and missed nothing (npx vitest bench test/histogram).
import type { Matrix } from '../embeddings/matrix.ts'
import { PretextError } from '../errors.ts'
import { createExactNeighbours } from './exact.ts'
import { createHnswNeighbours } from './hnsw.ts'
import type { Neighbours, NeighboursOptions } from './neighbours.ts'

/** From here on `auto` takes hnsw: exact search would hold several hundred MB and take longer than embedding. */
export const HNSW_FROM_CANDIDATES = 250_000

export interface CreateNeighboursOptions extends NeighboursOptions {
  readonly backend: 'exact' | 'hnsw' | 'auto'
}

/** Throws RangeError for no candidates, and PretextError `dependency` for hnsw without its optional package. */
export async function createNeighbours(
  candidates: Matrix,
  options: CreateNeighboursOptions,
): Promise<Neighbours> {
  if (candidates.rows === 0) throw new RangeError('expected at least one candidate, got none')
  const { backend, distance, seed } = options
  if (backend === 'hnsw') return createHnswNeighbours(candidates, { distance, seed })
  if (backend === 'auto' && candidates.rows >= HNSW_FROM_CANDIDATES) {
    try {
      return await createHnswNeighbours(candidates, { distance, seed })
    } catch (error) {
      // The optional package is not there: slower, but never wrong.
      if (!(error instanceof PretextError && error.code === 'dependency')) throw error
    }
  }
  return createExactNeighbours(candidates, { distance })
}
