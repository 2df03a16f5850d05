// Approximate scores of candidates with a bound on their error: the higher, the nearer. For L2 the score is q.c - |c|^2 / 2,
// for cosine q.c / |c| (candidates that are means of embeddings differ in norm). ONNX Runtime computes them from 8-bit
// integers, a third of the time of 32-bit floats. The bound is a worst case: by Cauchy-Schwarz
// |q.c - q'.c'| <= |q - q'| |c| + |q'| |c - c'| for the rounded q' and c', and a sum of n products in floats of roundoff u
// is off by at most about n u times the product of the norms (Higham, Accuracy and Stability, section 3.1).
import { type Matrix, matrix } from '../embeddings/matrix.ts'
import { loadOnnxRuntime } from '../embeddings/onnx-runtime.ts'
import { paddedDim } from './nearest-kernel.ts'
import type { Distance } from './neighbours.ts'
import { int8Scoring } from './scoring-graph.ts'

/** A query in whole steps: how long is what the rounding lost, and what it kept, in steps. */
export interface Rounded {
  readonly step: number
  readonly lost: number
  readonly kept: number
}

export interface Scorer {
  /** Whole numbers from -levels to levels stand for the values of a query, as bytes: `levels + 1` is zero. */
  readonly levels: number
  /**
   * Scores `rows` queries in steps of `step`, each padded as the kernel has them: for each part of the candidates, `rows`
   * rows of `scores`.
   */
  score(bytes: Uint8Array, rows: number, step: number, scores: Float32Array): Promise<void>
  /** How far a score of this query can be from the truth. */
  error(query: Rounded): number
  release(): Promise<void>
}

/** Candidates in one product. */
export const PART = 16_384
/** Half the distance from 1 to the next 32-bit float. */
const ROUNDOFF = 2 ** -24
/** What products too small for a 32-bit float can add up to. */
const UNDERFLOW = 1e-34
/** Over the rounding of the bounds themselves. */
const SLACK = 1.01

/** The score of a candidate is its product with the query times its factor, less its term. */
export function scoreTerms(norms: Float64Array, distance: Distance) {
  const l2 = distance === 'l2'
  return {
    factors: norms.map((norm) => (l2 ? 1 : norm === 0 ? 0 : 1 / norm)),
    terms: norms.map((norm) => (l2 ? (norm * norm) / 2 : 0)),
  }
}

/** At least the norm of the query. */
export function queryNorm({ step, lost, kept }: Rounded, dim: number): number {
  return SLACK * step * (kept + lost + ROUNDING_LOSS * Math.sqrt(dim))
}

/** How far a query's value in steps can be off for the rounding of 32-bit floats: two of them, in numbers up to 128. */
const ROUNDING_LOSS = 256 * ROUNDOFF

/** How far a score in 64 bits and the distance that `measure.ts` defines, in units of the score, are apart at most. */
export function exactError(norms: Float64Array, dim: number, distance: Distance): (norm: number) => number {
  const longest = norms.reduce((a, b) => Math.max(a, b), 0)
  const unit = 2 ** -53
  return (norm) =>
    SLACK *
    (dim + 10) *
    unit *
    (distance === 'l2' ? norm * longest + longest * longest + (norm + longest) ** 2 : 2 * norm)
}

/** Some processors add pairs of 8-bit products in 16 bits and cut what does not fit; they get smaller numbers. */
export interface Int8Range {
  readonly levels: 127 | 63
}

export async function createScorer(
  candidates: Matrix,
  norms: Float64Array,
  distance: Distance,
  { levels }: Int8Range,
): Promise<Scorer> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime()
  const dim = paddedDim(candidates.dim)
  const zero = levels + 1
  const { factors, terms } = scoreTerms(norms, distance)
  const bias = Float32Array.from(terms, (term) => -term)
  let farthest = 0
  const parts: { size: number; session: Awaited<ReturnType<typeof InferenceSession.create>> }[] = []
  for (let start = 0; start < candidates.rows; start += PART) {
    const size = Math.min(PART, candidates.rows - start)
    const { quantised, steps, error } = quantiseColumns(candidates, start, size, factors)
    farthest = Math.max(farthest, error)
    const model = int8Scoring({
      candidates: quantised,
      scales: steps,
      bias: bias.subarray(start, start + size),
      zero,
    })
    parts.push({ size, session: await InferenceSession.create(model, SESSION) })
  }
  const longest = norms.reduce((most, norm, i) => Math.max(most, norm * (factors[i] as number)), 0)
  const largestBias = bias.reduce((most, value) => Math.max(most, -value), 0)
  return {
    levels,
    async score(bytes, rows, step, scores) {
      const feeds = {
        queries: new Tensor('uint8', bytes, [rows, dim]),
        scale: new Tensor('float32', Float32Array.of(step), []),
      }
      let at = 0
      for (const { size, session } of parts) {
        const own = scores.subarray(at, at + rows * size)
        await session.run(feeds, { scores: new Tensor('float32', own, [rows, size]) })
        at += rows * size
      }
    },
    error({ step, lost, kept }) {
      const away = step * (lost + ROUNDING_LOSS * Math.sqrt(dim))
      const own = step * kept
      const rounded = away * longest + own * farthest
      // The integers are exact; what is done with their sum rounds a few times, and so does a limit made of scores.
      const afterwards = 10 * ROUNDOFF * (own * (longest + farthest) + largestBias)
      return SLACK * (rounded + afterwards) + UNDERFLOW
    },
    async release() {
      for (const { session } of parts) await session.release()
    },
  }
}

let range: Promise<Int8Range> | undefined

export function int8Range(): Promise<Int8Range> {
  range ??= (async () => {
    const [rows, dim] = [32, 64]
    const ones = matrix(rows, dim, new Float32Array(rows * dim).fill(1))
    const scorer = await createScorer(ones, new Float64Array(rows).fill(1), 'cosine', { levels: 127 })
    const scores = new Float32Array(rows * rows)
    await scorer.score(new Uint8Array(rows * dim).fill(255), rows, 1 / 127, scores)
    await scorer.release()
    return { levels: scores.every((score) => Math.abs(score - dim) < 1e-3) ? 127 : 63 }
  })()
  return range
}

/** Each candidate in steps of its own, as a column; and how far the farthest is from what it stands for. */
function quantiseColumns(candidates: Matrix, start: number, size: number, factors: Float64Array) {
  const { dim } = candidates
  const quantised = new Int8Array(paddedDim(dim) * size)
  const steps = new Float32Array(size)
  let error = 0
  for (let i = 0; i < size; i++) {
    const own = candidates.values.subarray((start + i) * dim, (start + i + 1) * dim)
    const by = factors[start + i] as number
    const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
    const step = stepOf(largest * by, 127)
    steps[i] = step
    let square = 0
    for (let d = 0; d < dim; d++) {
      const exact = (own[d] as number) * by
      const whole = Math.round(exact / step)
      quantised[d * size + i] = whole
      const away = exact - whole * step
      square += away * away
    }
    error = Math.max(error, Math.sqrt(square))
  }
  return { quantised, steps, error }
}

/** A 32-bit step in which the largest value is `levels` at most; never so small that the steps of both sides underflow. */
export function stepOf(largest: number, levels: number): number {
  const step = Math.fround(largest / levels)
  // Rounded up, so that nothing goes beyond the last level.
  return step < 1e-30 ? Math.fround(1e-30) : Math.fround(step * (1 + 2 ** -22))
}

/** One thread for each search: they are shared out above (exact.ts). */
const SESSION = { logSeverityLevel: 4, intraOpNumThreads: 1 } as const
