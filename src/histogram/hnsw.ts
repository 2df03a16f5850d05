// Approximate nearest candidates by hierarchical navigable small worlds (Malkov and Yashunin, arXiv 1603.09320) through
// hnswlib-node, for populations too large for exact search. A missed neighbour costs utility and never privacy: a wrong
// vote is still one bounded vote. How much is missed is measured at the start on synthetic points, and reported.
import { setImmediate } from 'node:timers/promises'
import { gatherRows, type Matrix, matrix, row } from '../embeddings/matrix.ts'
import { PretextError } from '../errors.ts'
import { type Random, seededRandom } from '../random.ts'
import { createExactNeighbours } from './exact.ts'
import { checkedNorms, checkQuery, exactDistance, rankByDistance } from './measure.ts'
import type { Neighbours, NeighboursOptions } from './neighbours.ts'

export interface HnswOptions extends NeighboursOptions {
  /** Links of a candidate in each layer; default 16. */
  readonly links?: number
  /** Width of the search while building and while asking: higher is slower and misses less. Default 200 and 128. */
  readonly buildWidth?: number
  readonly searchWidth?: number
  /** Synthetic queries to measure recall with; default: points between pairs of candidates. Never private texts. */
  readonly recallQueries?: Matrix
  /** Recall is measured at this k; default 10, or all candidates if there are fewer. */
  readonly recallK?: number
  readonly load?: () => Promise<HnswLibrary>
}

type HnswLibrary = Pick<typeof import('hnswlib-node'), 'HierarchicalNSW'>

const RECALL_QUERIES = 200

export async function createHnswNeighbours(candidates: Matrix, options: HnswOptions): Promise<Neighbours> {
  const { distance, seed, links = 16, buildWidth = 200, searchWidth = 128 } = options
  const norms = checkedNorms(candidates, 'candidates')
  const { HierarchicalNSW } = await loadLibrary(options.load)
  const index = new HierarchicalNSW(distance, candidates.dim)
  index.initIndex({
    maxElements: candidates.rows,
    m: links,
    efConstruction: buildWidth,
    randomSeed: seed >>> 0,
  })
  for (let i = 0; i < candidates.rows; i++) {
    index.addPoint(Array.from(row(candidates, i)), i)
    // Building takes long for many candidates: let a signal or a progress display in between.
    if (i % 1_000 === 999) await setImmediate()
  }
  const measure = exactDistance(candidates, norms, distance)
  const everyCandidate = Array.from({ length: candidates.rows }, (_, i) => i)

  function nearestOf(query: Float32Array, k: number): number[] {
    // More than k are asked for and measured again, so that their order and ties do not depend on 32-bit rounding.
    const asked = Math.min(candidates.rows, k + Math.max(k, 8))
    index.setEf(Math.max(searchWidth, asked))
    const found = index.searchKnn(Array.from(query), asked).neighbors
    // A graph with many equal points can have parts that a search does not reach.
    return rankByDistance(found.length < k ? everyCandidate : found, query, measure).slice(0, k)
  }

  async function nearest(queries: Matrix, k: number) {
    checkQuery(queries, k, candidates)
    checkedNorms(queries, 'queries')
    const indices = new Int32Array(queries.rows * k)
    for (let i = 0; i < queries.rows; i++) indices.set(nearestOf(row(queries, i), k), i * k)
    return { indices, k }
  }

  return {
    backend: 'hnsw',
    recall: await measureRecall(
      candidates,
      norms,
      options,
      async (queries, k) => (await nearest(queries, k)).indices,
    ),
    nearest,
    async dispose() {},
  }
}

/**
 * Share of the k nearest that are found, over synthetic queries. A found candidate counts if it is as near as the true
 * k-th, so that equal candidates may stand for each other.
 */
async function measureRecall(
  candidates: Matrix,
  norms: Float64Array,
  options: HnswOptions,
  search: (queries: Matrix, k: number) => Promise<Int32Array>,
): Promise<number> {
  const k = Math.min(options.recallK ?? 10, candidates.rows)
  const queries = options.recallQueries ?? pointsBetween(candidates, seededRandom(options.seed, 'recall'))
  const exact = await createExactNeighbours(candidates, { ...options, threads: 1 })
  const truth = (await exact.nearest(queries, k)).indices
  await exact.dispose()
  const found = await search(queries, k)
  const measure = exactDistance(candidates, norms, options.distance)
  let hits = 0
  for (let i = 0; i < queries.rows; i++) {
    const query = row(queries, i)
    const farthest = measure(query, truth[i * k + k - 1] as number)
    for (const index of found.subarray(i * k, (i + 1) * k)) if (measure(query, index) <= farthest) hits++
  }
  return hits / (queries.rows * k)
}

/** Points a quarter of the way from one candidate to another: near the population, but not on it, as new texts are. */
function pointsBetween(candidates: Matrix, random: Random): Matrix {
  const draw = () => Array.from({ length: RECALL_QUERIES }, () => random.integer(candidates.rows))
  const from = gatherRows(candidates, draw())
  const to = gatherRows(candidates, draw())
  return matrix(
    from.rows,
    from.dim,
    from.values.map((value, i) => 0.75 * value + 0.25 * (to.values[i] as number)),
  )
}

async function loadLibrary(load = loadHnswlib): Promise<HnswLibrary> {
  try {
    return await load()
  } catch (cause) {
    throw new PretextError(
      'expected the package hnswlib-node for the hnsw backend, and it could not be loaded',
      {
        code: 'dependency',
        hint: 'npm install hnswlib-node@3.0.0 (it is compiled on installation), or use the exact backend',
        cause,
      },
    )
  }
}

async function loadHnswlib(): Promise<HnswLibrary> {
  const library = await import('hnswlib-node')
  return library.default ?? library
}
