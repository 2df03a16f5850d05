// Distance from a text to a candidate (PrE-Text Algorithm 1, inside the argmin), in 64 bits: what every search agrees with.
import { type Matrix, row } from '../embeddings/matrix.ts'
import type { Distance } from './neighbours.ts'

/** Squares of longer vectors leave the range of a 32-bit float. */
export const LONGEST_NORM = 1e18

/** Distance of a query to candidate `index` in 64 bits, up to what is the same for all candidates. */
export type Measure = (query: Float32Array, index: number) => number

/** Squared L2 distance, or minus the cosine times the query's norm; a zero vector has cosine 0 with everything. */
export function exactDistance(candidates: Matrix, norms: Float64Array, distance: Distance): Measure {
  const { values, dim } = candidates
  if (distance === 'l2') {
    return (query, index) => {
      let sum = 0
      for (let d = 0, c = index * dim; d < dim; d++, c++) {
        const difference = (query[d] as number) - (values[c] as number)
        sum += difference * difference
      }
      return sum
    }
  }
  return (query, index) => {
    const norm = norms[index] as number
    if (norm === 0) return 0
    let sum = 0
    for (let d = 0, c = index * dim; d < dim; d++, c++) sum += (query[d] as number) * (values[c] as number)
    return -sum / norm
  }
}

/** Nearest first, ties to the lower index. */
export function rankByDistance(indices: readonly number[], query: Float32Array, measure: Measure): number[] {
  return indices
    .map((index) => ({ index, distance: measure(query, index) }))
    .sort((a, b) => a.distance - b.distance || a.index - b.index)
    .map(({ index }) => index)
}

/** L2 norms in 64 bits; throws RangeError where a value is not finite. */
export function checkedNorms(m: Matrix, what: string): Float64Array {
  return Float64Array.from({ length: m.rows }, (_, i) => {
    let square = 0
    for (const value of row(m, i)) square += value * value
    const norm = Math.sqrt(square)
    if (!(norm <= LONGEST_NORM)) {
      throw new RangeError(
        `expected ${what} of finite values with norms up to ${LONGEST_NORM}, row ${i} is not`,
      )
    }
    return norm
  })
}

export function checkQuery(queries: Matrix, k: number, candidates: Matrix): void {
  if (queries.dim !== candidates.dim) {
    throw new RangeError(`expected queries of dim ${candidates.dim} like the candidates, got ${queries.dim}`)
  }
  if (!Number.isInteger(k) || k < 1 || k > candidates.rows) {
    throw new RangeError(`expected k to be an integer from 1 to the ${candidates.rows} candidates, got ${k}`)
  }
}
