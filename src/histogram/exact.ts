// Exact nearest candidates (PrE-Text Algorithm 1, the argmin). ONNX Runtime multiplies all queries with all candidates in
// 32 bits, which gives a shortlist: every candidate whose score lies within the rounding error of the k-th best. Only the
// shortlist is measured again, in 64 bits, so that the answer is that of a plain loop in 64 bits, bit for bit: ties go to
// the lower index, and a row's answer depends neither on the other rows nor on the machine.
//
// For the 4 texts of one client on 2 cores: 2 ms among 10,000 candidates of 384 dimensions, where a loop takes 225 ms
// (npx vitest bench test/histogram).
import { type Matrix, row, rowRange } from '../embeddings/matrix.ts'
import { loadTransformers } from '../embeddings/transformers.ts'
import { checkedNorms, checkQuery, exactDistance, rankByDistance } from './measure.ts'
import type { Distance, Neighbours } from './neighbours.ts'

/** Scores held at once: 16 MB. */
const SCORES_PER_BLOCK = 4_194_304
/** Half the distance from 1 to the next 32-bit float. */
const UNIT_ROUNDOFF = 2 ** -24
/** The same for a 64-bit float. */
const UNIT_ROUNDOFF_64 = 2 ** -53
/** What products too small for a 32-bit float can add up to. */
const UNDERFLOW = 1e-34

export async function createExactNeighbours(
  candidates: Matrix,
  options: { readonly distance: Distance },
): Promise<Neighbours> {
  const { distance } = options
  const norms = checkedNorms(candidates, 'candidates')
  const { matmul, Tensor } = await loadTransformers()
  const scoring = scoringMatrix(candidates, norms, distance)
  const scoringTensor = new Tensor('float32', scoring.values, [scoring.dim, candidates.rows])
  const longest = norms.reduce((a, b) => Math.max(a, b), 0)
  const measure = exactDistance(candidates, norms, distance)
  const blockRows = Math.max(1, Math.floor(SCORES_PER_BLOCK / candidates.rows))

  /**
   * How far the 32-bit score and the 64-bit measure together can be from the truth: rounding of a sum of `dim` products,
   * and of what went into it.
   */
  function scoreError(queryNorm: number): number {
    const score = distance === 'l2' ? queryNorm * longest + longest * longest : queryNorm
    const measured = distance === 'l2' ? (queryNorm + longest) ** 2 : queryNorm
    return 1.01 * (scoring.dim + 4) * (UNIT_ROUNDOFF * score + UNIT_ROUNDOFF_64 * measured) + UNDERFLOW
  }

  async function nearestInBlock(queries: Matrix, queryNorms: Float64Array, k: number, out: Int32Array) {
    const extended = extendQueries(queries, distance)
    const query = new Tensor('float32', extended, [queries.rows, scoring.dim])
    const scores = (await matmul(query, scoringTensor)).data as Float32Array
    for (let i = 0; i < queries.rows; i++) {
      const own = scores.subarray(i * candidates.rows, (i + 1) * candidates.rows)
      const cutoff = kthLargest(own, k) - 2 * scoreError(queryNorms[i] as number)
      const shortlist: number[] = []
      own.forEach((score, index) => {
        if (score >= cutoff) shortlist.push(index)
      })
      out.set(rankByDistance(shortlist, row(queries, i), measure).slice(0, k), i * k)
    }
  }

  return {
    backend: 'exact',
    recall: 1,
    async nearest(queries, k) {
      checkQuery(queries, k, candidates)
      const queryNorms = checkedNorms(queries, 'queries')
      const indices = new Int32Array(queries.rows * k)
      for (let start = 0; start < queries.rows; start += blockRows) {
        const rows = Math.min(blockRows, queries.rows - start)
        await nearestInBlock(
          rowRange(queries, start, rows),
          queryNorms.subarray(start, start + rows),
          k,
          indices.subarray(start * k, (start + rows) * k),
        )
      }
      return { indices, k }
    },
    async dispose() {},
  }
}

/**
 * Candidates as columns, such that query times column grows as the distance falls. Their norms differ where a candidate
 * is a mean of several embeddings (lookahead), so cosine divides by the norm, and L2 takes the term |c|^2 / 2 away
 * through one more dimension, in which each query has 1.
 */
function scoringMatrix(candidates: Matrix, norms: Float64Array, distance: Distance) {
  const { rows, dim } = candidates
  const extra = distance === 'l2' ? 1 : 0
  const values = new Float32Array((dim + extra) * rows)
  for (let i = 0; i < rows; i++) {
    const norm = norms[i] as number
    const scale = distance === 'l2' ? 1 : norm === 0 ? 0 : 1 / norm
    for (let d = 0; d < dim; d++) values[d * rows + i] = (candidates.values[i * dim + d] as number) * scale
    if (extra === 1) values[dim * rows + i] = -(norm * norm) / 2
  }
  return { values, dim: dim + extra }
}

function extendQueries(queries: Matrix, distance: Distance): Float32Array {
  if (distance === 'cosine') return queries.values
  const width = queries.dim + 1
  const values = new Float32Array(queries.rows * width)
  for (let i = 0; i < queries.rows; i++) {
    values.set(row(queries, i), i * width)
    values[i * width + queries.dim] = 1
  }
  return values
}

/** The k-th largest value, by insertion into a short sorted list: most values fall below it at once. */
function kthLargest(values: Float32Array, k: number): number {
  const best = values.slice(0, k).sort().reverse()
  let lowest = best[k - 1] as number
  for (let i = k; i < values.length; i++) {
    const value = values[i] as number
    if (value <= lowest) continue
    let place = k - 1
    while (place > 0 && (best[place - 1] as number) < value) {
      best[place] = best[place - 1] as number
      place--
    }
    best[place] = value
    lowest = best[k - 1] as number
  }
  return lowest
}
