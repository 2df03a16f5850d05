// Nearest candidates by a plain loop in 64 bits: the definition that every search of `histogram` agrees with bit for bit, so
// a client votes exactly as a simulated one does, with no library. 8 texts among 1,024 candidates take a few milliseconds.
import { type Matrix, row } from '../../embeddings/matrix.ts'
import { checkedNorms, checkQuery, exactDistance, rankByDistance } from '../../histogram/measure.ts'
import type { Distance, Neighbours } from '../../histogram/neighbours.ts'

export function plainNeighbours(candidates: Matrix, distance: Distance): Neighbours {
  const measure = exactDistance(candidates, checkedNorms(candidates, 'candidates'), distance)
  const all = Array.from({ length: candidates.rows }, (_, i) => i)
  return {
    backend: 'exact',
    recall: 1,
    async nearest(queries, k) {
      checkQuery(queries, k, candidates)
      const indices = new Int32Array(queries.rows * k)
      for (let i = 0; i < queries.rows; i++) {
        indices.set(rankByDistance(all, row(queries, i), measure).slice(0, k), i * k)
      }
      return { indices, k }
    },
    async dispose() {},
  }
}
