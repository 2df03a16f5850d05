// Approximate scores of candidates with a bound on their error: the higher, the nearer. For L2 the score is q.c - |c|^2 / 2,
// for cosine q.c / |c| (candidates that are means of embeddings differ in norm). ONNX Runtime computes them in one of two
// precisions: from 8-bit integers, a third of the time, or in 32-bit floats. The bounds are worst cases: by Cauchy-Schwarz
// |q.c - q'.c'| <= |q - q'| |c| + |q'| |c - c'| for the rounded q' and c', and a sum of n products in floats of roundoff u
// is off by at most about n u times the product of the norms (Higham, Accuracy and Stability, section 3.1).
import { availableParallelism } from 'node:os'
import { type Matrix, matrix } from '../embeddings/matrix.ts'
import { loadOnnxRuntime, type OnnxRuntime } from '../embeddings/onnx-runtime.ts'
import { checkedNorms, LONGEST_NORM } from './measure.ts'
import type { Distance } from './neighbours.ts'
import { floatScoring, int8Scoring } from './scoring-graph.ts'

/** The best `count` candidates of each query within one part of the candidates, best first. */
export interface PartScores {
  readonly scores: Float32Array
  /** Within the part. */
  readonly indices: BigInt64Array
  readonly count: number
  /** Where the part begins, and how many candidates it has. */
  readonly start: number
  readonly size: number
}

export interface Scored {
  readonly parts: readonly PartScores[]
  /** For each query, how far a score can be from the truth, and at least its norm. */
  readonly errors: Float64Array
  readonly norms: Float64Array
}

export interface Scorer {
  /** All of one call are held in memory at once: at most `SCORES_PER_BLOCK / PART` queries. */
  score(queries: Matrix, count: number): Promise<Scored>
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

/** Candidates as the scores see them: scaled (cosine) or as they are, with the term that L2 takes away. */
interface Target {
  readonly rows: number
  readonly dim: number
  readonly values: Float32Array
  readonly start: number
  readonly scale: (index: number) => number
  readonly bias: Float32Array
  readonly longest: number
  readonly largestBias: number
}

export type CreateScorer = (candidates: Matrix, norms: Float64Array, distance: Distance) => Promise<Scorer>

export const createFloatScorer: CreateScorer = async (candidates, norms, distance) => {
  const { InferenceSession, Tensor } = await loadOnnxRuntime()
  const { dim } = candidates
  const targets = targetsOf(candidates, norms, distance)
  const sessions = await Promise.all(
    targets.map((target) => {
      const { rows, values, scale, bias } = target
      const scaled = Float32Array.from(values)
      for (let i = 0; i < rows; i++) {
        const by = scale(i)
        if (by !== 1) for (let d = i * dim; d < (i + 1) * dim; d++) scaled[d] = (scaled[d] as number) * by
      }
      return InferenceSession.create(floatScoring({ candidates: scaled, bias }), sessionOptions(target))
    }),
  )
  const longest = Math.max(...targets.map((target) => target.longest))
  const largestBias = Math.max(...targets.map((target) => target.largestBias))
  return {
    async score(queries, count) {
      const queryNorms = checkedNorms(queries, 'queries')
      const feeds = { queries: new Tensor('float32', queries.values, [queries.rows, dim]) }
      const parts = await bestOfParts({ Tensor }, sessions, targets, feeds, count)
      const errors = queryNorms.map(
        (norm) => SLACK * (dim + 4) * ROUNDOFF * (norm * longest + largestBias) + UNDERFLOW,
      )
      return { parts, errors, norms: queryNorms }
    },
    release: () => releaseAll(sessions),
  }
}

/** Whole numbers from -levels to levels stand for the values of a query. */
export interface Int8Range {
  readonly levels: 127 | 63
}

export async function createInt8Scorer(
  candidates: Matrix,
  norms: Float64Array,
  distance: Distance,
  { levels }: Int8Range = { levels: 127 },
): Promise<Scorer> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime()
  const { dim } = candidates
  const zero = levels + 1
  const targets = targetsOf(candidates, norms, distance)
  let farthest = 0
  const sessions: Session[] = []
  for (const target of targets) {
    const { quantised, scales, error } = quantiseColumns(target)
    farthest = Math.max(farthest, error)
    const bytes = int8Scoring({ candidates: quantised, scales, bias: target.bias, zero })
    sessions.push(await InferenceSession.create(bytes, sessionOptions(target)))
  }
  const longest = Math.max(...targets.map((target) => target.longest))
  const largestBias = Math.max(...targets.map((target) => target.largestBias))
  return {
    async score(queries, count) {
      const { bytes, scale, lost, kept } = quantiseQueries(queries, levels)
      const feeds = {
        queries: new Tensor('uint8', bytes, [queries.rows, dim]),
        scale: new Tensor('float32', Float32Array.of(scale), []),
      }
      const parts = await bestOfParts({ Tensor }, sessions, targets, feeds, count)
      const errors = lost.map((away, i) => {
        const own = kept[i] as number
        const rounded = away * longest + own * farthest
        // The integers are exact; what is done with their sum rounds a few times.
        const afterwards = 8 * ROUNDOFF * (own * (longest + farthest) + largestBias)
        return SLACK * (rounded + afterwards) + UNDERFLOW
      })
      const queryNorms = kept.map((own, i) => SLACK * (own + (lost[i] as number)))
      return { parts, errors, norms: queryNorms }
    },
    release: () => releaseAll(sessions),
  }
}

/** Some processors add pairs of 8-bit products in 16 bits and cut what does not fit; they get smaller numbers. */
let range: Promise<Int8Range> | undefined

export function int8Range(): Promise<Int8Range> {
  range ??= (async () => {
    const dim = 64
    const ones = matrix(32, dim, new Float32Array(32 * dim).fill(1))
    const norms = new Float64Array(32).fill(1)
    const scorer = await createInt8Scorer(ones, norms, 'cosine')
    const { parts } = await scorer.score(ones, 1)
    await scorer.release()
    const exact = parts[0]?.scores.every((score) => Math.abs(score - dim) < 1e-3) === true
    return { levels: exact ? 127 : 63 }
  })()
  return range
}

function targetsOf({ rows, dim, values }: Matrix, norms: Float64Array, distance: Distance): Target[] {
  const targets: Target[] = []
  for (let start = 0; start < rows; start += PART) {
    const size = Math.min(PART, rows - start)
    const own = norms.subarray(start, start + size)
    const l2 = distance === 'l2'
    const bias = Float32Array.from(own, (norm) => (l2 ? -(norm * norm) / 2 : 0))
    targets.push({
      rows: size,
      dim,
      values: values.subarray(start * dim, (start + size) * dim),
      start,
      scale: (i) => (l2 || own[i] === 0 ? 1 : 1 / (own[i] as number)),
      bias,
      longest: l2 ? own.reduce((a, b) => Math.max(a, b), 0) : 1,
      largestBias: bias.reduce((a, b) => Math.max(a, -b), 0),
    })
  }
  return targets
}

/** Each candidate in steps of its own, as a column; and how far the farthest is from what it stands for. */
function quantiseColumns({ rows, dim, values, scale }: Target) {
  const quantised = new Int8Array(rows * dim)
  const scales = new Float32Array(rows)
  let error = 0
  for (let i = 0; i < rows; i++) {
    const own = values.subarray(i * dim, (i + 1) * dim)
    const by = scale(i)
    const step = stepOf(own, by, 127)
    scales[i] = step
    let square = 0
    for (let d = 0; d < dim; d++) {
      const exact = (own[d] as number) * by
      const whole = Math.round(exact / step)
      quantised[d * rows + i] = whole
      const away = exact - whole * step
      square += away * away
    }
    error = Math.max(error, Math.sqrt(square))
  }
  return { quantised, scales, error }
}

/** All queries of a call in the same steps; for each, the norms of what is lost and of what is kept. */
function quantiseQueries(queries: Matrix, levels: number) {
  const { rows, dim, values } = queries
  const zero = levels + 1
  const scale = stepOf(values, 1, levels)
  // One value that is not finite, or too long a row, leaves no scale; the check says which row it is.
  if (!(scale * levels * Math.sqrt(dim) <= LONGEST_NORM)) checkedNorms(queries, 'queries')
  const inverse = 1 / scale
  const bytes = new Uint8Array(rows * dim)
  const lost = new Float64Array(rows)
  const kept = new Float64Array(rows)
  for (let i = 0; i < rows; i++) {
    let away = 0
    let own = 0
    for (let at = i * dim; at < (i + 1) * dim; at++) {
      const exact = values[at] as number
      const byte = (exact * inverse + zero + 0.5) | 0
      bytes[at] = byte
      const whole = (byte - zero) * scale
      away += (exact - whole) * (exact - whole)
      own += whole * whole
    }
    lost[i] = Math.sqrt(away)
    kept[i] = Math.sqrt(own)
  }
  return { bytes, scale, lost, kept }
}

/** A 32-bit step in which the largest value is `levels` at most; never so small that the steps of both sides underflow. */
function stepOf(values: Float32Array, by: number, levels: number): number {
  let largest = 0
  for (let d = 0; d < values.length; d++) largest = Math.max(largest, Math.abs(values[d] as number))
  const step = Math.fround((largest * by) / levels)
  // Rounded up, so that nothing goes beyond the last level.
  return step < 1e-30 ? Math.fround(1e-30) : Math.fround(step * (1 + 2 ** -22))
}

type Session = Awaited<ReturnType<OnnxRuntime['InferenceSession']['create']>>

async function bestOfParts(
  { Tensor }: Pick<OnnxRuntime, 'Tensor'>,
  sessions: readonly Session[],
  targets: readonly Target[],
  feeds: Parameters<Session['run']>[0],
  wanted: number,
): Promise<PartScores[]> {
  const parts: PartScores[] = []
  for (const [i, { start, rows: size }] of targets.entries()) {
    const count = Math.min(wanted, size)
    const k = new Tensor('int64', BigInt64Array.of(BigInt(count)), [1])
    const { best, indices } = await (sessions[i] as Session).run({ ...feeds, k })
    parts.push({
      scores: best?.data as Float32Array,
      indices: indices?.data as BigInt64Array,
      count,
      start,
      size,
    })
  }
  return parts
}

async function releaseAll(sessions: readonly Session[]): Promise<void> {
  for (const session of sessions) await session.release()
}

/** Of the candidates: for few, waking further threads takes longer than the product. */
const VALUES_FOR_THREADS = 65_536

function sessionOptions({ values }: Target) {
  return { intraOpNumThreads: values.length < VALUES_FOR_THREADS ? 1 : availableParallelism() }
}

/** The score in 64 bits with four sums at once, and its bound for a query of this norm. */
export function exactScore(candidates: Matrix, norms: Float64Array, distance: Distance) {
  const { values, dim } = candidates
  const longest = norms.reduce((a, b) => Math.max(a, b), 0)
  const l2 = distance === 'l2'
  const unit = 2 ** -53
  return {
    /** Together with the distance that `measure.ts` defines, in units of the score. */
    error: (norm: number): number =>
      SLACK * (dim + 8) * unit * (l2 ? norm * longest + longest * longest + (norm + longest) ** 2 : 2 * norm),
    score(query: Float32Array, index: number): number {
      let a = 0
      let b = 0
      let c = 0
      let e = 0
      let at = index * dim
      let d = 0
      // Four sums, since each addition waits for the one before it.
      for (const end = dim - 3; d < end; d += 4, at += 4) {
        a += (query[d] as number) * (values[at] as number)
        b += (query[d + 1] as number) * (values[at + 1] as number)
        c += (query[d + 2] as number) * (values[at + 2] as number)
        e += (query[d + 3] as number) * (values[at + 3] as number)
      }
      for (; d < dim; d++, at++) a += (query[d] as number) * (values[at] as number)
      const product = a + b + (c + e)
      const norm = norms[index] as number
      if (l2) return product - (norm * norm) / 2
      return norm === 0 ? 0 : product / norm
    },
  }
}
