// Exact nearest candidates (PrE-Text Algorithm 1, the argmin): search.ts in this thread, and beside it in one for each further
// core once there has been enough to search for that starting them is worth while.
//
// Against faiss's IndexFlatL2 on the same two threads: bench/RESULTS.md.
import { availableParallelism } from 'node:os'
import { type Matrix, matrix, rowRange } from '../embeddings/matrix.ts'
import { startThread, type Thread, threadsThatFit } from '../thread.ts'
import { checkQuery } from './measure.ts'
import type { Distance, Neighbours } from './neighbours.ts'
import { createSearch, type Search } from './search.ts'
import type { SearchQuestion } from './search-thread.ts'

/** Queries that a thread takes at a time; fewer are not worth a message. */
const PIECE = { least: 32, most: 128 }
/** Products of a query and a candidate after which other threads are started: what one thread does in a twentieth of a second. */
const WORTH_THREADS = 10_000_000
const MOST_THREADS = 8
/** Of the machine's memory, for all of them. */
const MEMORY_SHARE = 0.125
/** Of a value of a candidate: 32-bit floats twice, 8-bit integers, and the model that holds those. */
const BYTES_PER_VALUE = 10

export async function createExactNeighbours(
  candidates: Matrix,
  options: { readonly distance: Distance; readonly threads?: number },
): Promise<Neighbours> {
  const { distance, threads = availableParallelism() } = options
  const own = await createSearch(candidates, distance)
  const fit = threadsThatFit(BYTES_PER_VALUE * candidates.values.length, MEMORY_SHARE)
  const most = Math.min(threads, MOST_THREADS, fit)
  const others: Search[] = []
  let starting: Promise<unknown> | undefined
  let searched = 0
  let ended = false

  async function startOthers(): Promise<void> {
    while (others.length < most - 1 && !ended) {
      const other = await searchElsewhere(candidates, distance, own)
      if (other === undefined) return
      others.push(other)
    }
  }

  return {
    backend: 'exact',
    recall: 1,
    async nearest(queries, k) {
      checkQuery(queries, k, candidates)
      if (searched > WORTH_THREADS) starting ??= startOthers()
      searched += queries.rows * candidates.rows
      const indices = new Int32Array(queries.rows * k)
      const { least, most: large } = PIECE
      const piece = Math.max(least, Math.min(large, Math.ceil(queries.rows / (others.length + 1))))
      // Each other one has a piece waiting while it works on one.
      const searches = queries.rows > least ? [...others, ...others, own] : [own]
      let next = 0
      const work = async (search: Search) => {
        while (next < queries.rows) {
          const start = next
          const rows = Math.min(piece, queries.rows - start)
          next += rows
          indices.set(await search.find(rowRange(queries, start, rows), k), start * k)
        }
      }
      const ends = await Promise.allSettled(
        searches.map((search) =>
          work(search).catch((error) => {
            next = queries.rows
            throw error
          }),
        ),
      )
      for (const end of ends) if (end.status === 'rejected') throw end.reason
      return { indices, k }
    },
    async dispose() {
      ended = true
      await starting
      await Promise.all([own, ...others].map((search) => search.release()))
    },
  }
}

/** undefined where no thread can be started: the work goes on without it. What a thread fails at is tried `here`. */
async function searchElsewhere(
  candidates: Matrix,
  distance: Distance,
  here: Search,
): Promise<Search | undefined> {
  let thread: Thread<SearchQuestion> | undefined
  try {
    thread = startThread<SearchQuestion>(new URL('search-thread', import.meta.url))
    await thread.ask({ type: 'candidates', candidates: copied(candidates), distance })
  } catch {
    await thread?.close()
    return undefined
  }
  const { ask, close } = thread
  return {
    async find(queries, k) {
      try {
        return await ask<Int32Array>({ type: 'find', queries: copied(queries), k })
      } catch {
        return here.find(queries, k)
      }
    },
    release: close,
  }
}

/** A view would take the whole of what it looks at with it to another thread. */
function copied({ rows, dim, values }: Matrix): Matrix {
  return matrix(rows, dim, values.slice())
}
