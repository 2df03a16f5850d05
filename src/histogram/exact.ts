// Exact nearest candidates (PrE-Text Algorithm 1, the argmin). Scores with a known error (scoring.ts) name the candidates
// that can be among the k best, first from 8-bit integers and, for a query that they cannot decide, in 32-bit floats. These
// few are measured again in 64 bits, so that the answer is that of a plain loop in 64 bits, bit for bit: ties go to the
// lower index, and a row's answer depends neither on the other rows nor on the machine.
//
// Against faiss's IndexFlatL2 on the same two threads: bench/RESULTS.md.
import { gatherRows, type Matrix, row, rowRange } from '../embeddings/matrix.ts'
import { checkedNorms, checkQuery, exactDistance, type Measure, rankByDistance } from './measure.ts'
import type { Distance, Neighbours } from './neighbours.ts'
import {
  createFloatScorer,
  createInt8Scorer,
  exactScore,
  int8Range,
  PART,
  type Scored,
  type Scorer,
} from './scoring.ts'

/** Queries at once: with the candidates of one part, 64 MB of scores. */
const BLOCK_ROWS = 16_777_216 / PART
/** Candidates to look at for k: almost all texts need fewer, and the rest takes the next step. */
const SHORTLIST = { int8: (k: number) => 3 * k + 16, float: (k: number) => k + 64 }

export async function createExactNeighbours(
  candidates: Matrix,
  options: { readonly distance: Distance },
): Promise<Neighbours> {
  const { distance } = options
  const norms = checkedNorms(candidates, 'candidates')
  const measure = exactDistance(candidates, norms, distance)
  const exact = exactScore(candidates, norms, distance)
  const int8 = await createInt8Scorer(candidates, norms, distance, await int8Range())
  let float: Promise<Scorer> | undefined

  /** Of the queries, those at `rows`: writes what the scores decide, returns the rows that they leave open. */
  async function decide(scorer: Scorer, count: number, queries: Matrix, k: number, out: Int32Array) {
    const best = bestOf(k)
    const open: number[] = []
    for (let start = 0; start < queries.rows; start += BLOCK_ROWS) {
      const rows = Math.min(BLOCK_ROWS, queries.rows - start)
      const scored = await scorer.score(rowRange(queries, start, rows), count)
      for (let i = start; i < start + rows; i++) {
        best.restart(exact.error(scored.norms[i - start] as number))
        const query = row(queries, i)
        if (!lookAtScored(scored, i - start, query, best)) open.push(i)
        else writeBest(best, query, measure, out, i * k)
      }
    }
    return open
  }

  /** Measures in order of score until no further one can be among the best; false if the scores end before that. */
  function lookAtScored({ parts, errors }: Scored, i: number, query: Float32Array, best: Best): boolean {
    const error = (errors[i] as number) + best.error
    return parts.every(({ scores, indices, count, start, size }) => {
      for (let j = i * count; j < (i + 1) * count; j++) {
        if ((scores[j] as number) + error < best.lowest()) return true
        const index = start + Number(indices[j])
        best.add(index, exact.score(query, index))
      }
      return count === size
    })
  }

  async function nearest(queries: Matrix, k: number) {
    checkQuery(queries, k, candidates)
    const indices = new Int32Array(queries.rows * k)
    const open = await decide(int8, SHORTLIST.int8(k), queries, k, indices)
    if (open.length === 0) return { indices, k }
    const left = gatherRows(queries, open)
    const answers = new Int32Array(open.length * k)
    float ??= createFloatScorer(candidates, norms, distance)
    for (const i of await decide(await float, SHORTLIST.float(k), left, k, answers)) {
      // Very many candidates are about equally near, or equal.
      const query = row(left, i)
      const best = bestOf(k)
      best.restart(exact.error(norm(query)))
      for (let index = 0; index < candidates.rows; index++) best.add(index, exact.score(query, index))
      writeBest(best, query, measure, answers, i * k)
    }
    for (const [i, at] of open.entries()) indices.set(answers.subarray(i * k, (i + 1) * k), at * k)
    return { indices, k }
  }

  return {
    backend: 'exact',
    recall: 1,
    nearest,
    async dispose() {
      await int8.release()
      await (await float)?.release()
    },
  }
}

function norm(query: Float32Array): number {
  return Math.sqrt(query.reduce((sum, value) => sum + value * value, 0))
}

/** The best so far, best first, and with them all that the error of a score leaves undecided. */
interface Best {
  readonly k: number
  readonly scores: number[]
  readonly indices: number[]
  error: number
  restart(error: number): void
  /** Below it a candidate is certainly not among the k best. */
  lowest(): number
  add(index: number, score: number): void
}

function bestOf(k: number): Best {
  const scores: number[] = []
  const indices: number[] = []
  const best: Best = {
    k,
    scores,
    indices,
    error: 0,
    restart(error) {
      best.error = error
      scores.length = 0
      indices.length = 0
    },
    lowest: () => (scores.length < k ? Number.NEGATIVE_INFINITY : (scores[k - 1] as number) - 2 * best.error),
    add(index, score) {
      if (score < best.lowest()) return
      let at = scores.length
      // Moved by hand: splice would make an array for every candidate.
      for (; at > 0 && (scores[at - 1] as number) < score; at--) {
        scores[at] = scores[at - 1] as number
        indices[at] = indices[at - 1] as number
      }
      scores[at] = score
      indices[at] = index
      while (scores.length > k && (scores.at(-1) as number) < best.lowest()) {
        scores.pop()
        indices.pop()
      }
    },
  }
  return best
}

/** The k best in their order, by `measure` where the scores lie too near to each other to tell. */
function writeBest(best: Best, query: Float32Array, measure: Measure, out: Int32Array, at: number): void {
  const { scores, indices, error, k } = best
  if (scores.length === 1) {
    out[at] = indices[0] as number
    return
  }
  for (let start = 0; start < k; ) {
    let end = start + 1
    while (end < scores.length && (scores[end - 1] as number) - (scores[end] as number) <= 2 * error) end++
    const alike = indices.slice(start, end)
    const ranked = end - start === 1 ? alike : rankByDistance(alike, query, measure)
    out.set(ranked.slice(0, k - start), at + start)
    start = end
  }
}
