// Exact search in one thread. Scores from 8-bit integers with a known error (scoring.ts) name the candidates that can be among
// the k best. These few are measured again in 64 bits (kernel/nearest.as), so that the answer is that of a plain loop in 64 bits,
// bit for bit: ties go to the lower index, and a row's answer depends neither on the other rows nor on the machine.
import pLimit from 'p-limit'
import { type Matrix, row, rowRange } from '../embeddings/matrix.ts'
import { checkedNorms, exactDistance, LONGEST_NORM, type Measure, rankByDistance } from './measure.ts'
import { createNearestKernel } from './nearest-kernel.ts'
import type { Distance } from './neighbours.ts'
import { createScorer, exactError, int8Range, PART, queryNorm, scoreTerms, stepOf } from './scoring.ts'

/** Queries at once: as many as keep their scores in the cache, but enough to make the product worth while. */
const BLOCK = { scores: 524_288, rows: { least: 64, most: 256 } }

export interface Search {
  /** rows x k candidate indices, as `Nearest` has them; calls are answered in turn. Throws RangeError where a query is not finite. */
  find(queries: Matrix, k: number): Promise<Int32Array>
  release(): Promise<void>
}

export async function createSearch(candidates: Matrix, distance: Distance): Promise<Search> {
  const norms = checkedNorms(candidates, 'candidates')
  const measure = exactDistance(candidates, norms, distance)
  const errorOf = exactError(norms, candidates.dim, distance)
  const { least, most } = BLOCK.rows
  const blockRows = Math.max(least, Math.min(most, Math.floor(BLOCK.scores / candidates.rows)))
  const kernel = createNearestKernel({
    candidates,
    ...scoreTerms(norms, distance),
    rows: blockRows,
    part: PART,
  })
  const scorer = await createScorer(candidates, norms, distance, await int8Range())
  // There is one block in memory.
  const inTurn = pLimit(1)

  async function search(queries: Matrix, k: number): Promise<Int32Array> {
    const indices = new Int32Array(queries.rows * k)
    for (let start = 0; start < queries.rows; start += blockRows) {
      const rows = Math.min(blockRows, queries.rows - start)
      const block = rowRange(queries, start, rows)
      const step = stepOf(kernel.load(block), scorer.levels)
      // One value that is not finite, or too long a row, leaves no step; the check says which row it is.
      if (!(step * scorer.levels * Math.sqrt(block.dim) <= LONGEST_NORM)) checkedNorms(block, 'queries')
      const bytes = kernel.quantise(rows, step, scorer.levels + 1)
      await scorer.score(bytes, rows, step, kernel.scores(rows))
      for (let i = 0; i < rows; i++) nearestOf(block, i, step, k, indices, (start + i) * k)
    }
    return indices
  }

  function nearestOf(block: Matrix, i: number, step: number, k: number, out: Int32Array, at: number): void {
    const { list, ranked } = kernel
    const rounded = { step, lost: kernel.lost[i] as number, kept: kernel.kept[i] as number }
    const error = errorOf(queryNorm(rounded, block.dim))
    const scoreError = scorer.error(rounded) + error
    let found = kernel.shortlist(block.rows, i, k, scoreError)
    // A single one needs no order.
    if (found > 1) found = kernel.rank(i, scoreError, found, k, 2 * error)
    if (found === 1) out[at] = list[0] as number
    else writeBest(list.subarray(0, found), ranked, row(block, i), k, error, measure, out, at)
  }

  return { find: (queries, k) => inTurn(search, queries, k), release: () => scorer.release() }
}

/** The k best in their order, by `measure` where the scores lie too near to each other to tell. */
function writeBest(
  list: Int32Array,
  scores: Float64Array,
  query: Float32Array,
  k: number,
  error: number,
  measure: Measure,
  out: Int32Array,
  at: number,
): void {
  for (let start = 0; start < k; ) {
    let end = start + 1
    while (end < list.length && (scores[end - 1] as number) - (scores[end] as number) <= 2 * error) end++
    if (end - start === 1) out[at + start] = list[start] as number
    else {
      const alike = rankByDistance([...list.subarray(start, end)], query, measure)
      out.set(alike.slice(0, k - start), at + start)
    }
    start = end
  }
}
