import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { dot, type Matrix, matrix, row } from '../../src/embeddings/matrix.ts'
import { createExactNeighbours } from '../../src/histogram/exact.ts'
import { kernelModule } from '../../src/histogram/kernel/build.mjs'
import { checkedNorms } from '../../src/histogram/measure.ts'
import { createNearestKernel } from '../../src/histogram/nearest-kernel.ts'
import { createScorer, PART, scoreTerms, stepOf } from '../../src/histogram/scoring.ts'
import type { SearchQuestion } from '../../src/histogram/search-thread.ts'
import { bruteForce, clustered, neighboursContract } from './neighbours-contract.ts'

/** Of the real threads: how many have their candidates, and the pieces that they were asked for. */
const threads = vi.hoisted(() => ({ ready: 0, asked: 0 }))
vi.mock(import('../../src/thread.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    startThread<Question>(name: URL) {
      const thread = real.startThread<Question>(name)
      return {
        ...thread,
        async ask<Answer>(question: Question) {
          const { type } = question as SearchQuestion
          if (type === 'find') threads.asked++
          const answer = await thread.ask<Answer>(question)
          if (type === 'candidates') threads.ready++
          return answer
        },
      }
    },
  }
})

neighboursContract('exact search', createExactNeighbours)

/** Small whole numbers make duplicates and ties common; floats of all sizes try the rounding. */
const value = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -2, max: 2 }) },
  { weight: 1, arbitrary: fc.float({ min: -1e6, max: 1e6, noNaN: true }) },
  { weight: 1, arbitrary: fc.float({ min: Math.fround(-1e-20), max: Math.fround(1e-20), noNaN: true }) },
)
const problem = fc
  .record({
    rows: fc.integer({ min: 1, max: 24 }),
    queries: fc.integer({ min: 1, max: 4 }),
    dim: fc.integer({ min: 1, max: 6 }),
  })
  .chain(({ rows, queries, dim }) =>
    fc.record({
      candidates: fc
        .array(value, { minLength: rows * dim, maxLength: rows * dim })
        .map((all) => matrix(rows, dim, Float32Array.from(all))),
      queries: fc
        .array(value, { minLength: queries * dim, maxLength: queries * dim })
        .map((all) => matrix(queries, dim, Float32Array.from(all))),
      k: fc.integer({ min: 1, max: rows }),
      distance: fc.constantFrom('l2' as const, 'cosine' as const),
    }),
  )

describe('exact search', () => {
  it.each([1, 2, 8, 16, 17, 40])('finds the %i nearest among many, and answers calls in turn', async (k) => {
    // Sizes that no vector, group or block divides.
    const candidates = clustered(1_237, 33, 20, 21)
    const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
    const calls = [301, 7, 1].map((rows, i) => clustered(rows, 33, 20, 21, i + 1))
    const answers = await Promise.all(calls.map((queries) => neighbours.nearest(queries, k)))
    for (const [i, { indices }] of answers.entries()) {
      expect([...indices]).toEqual(bruteForce(candidates, calls[i] as Matrix, k, 'l2'))
    }
  })

  it('gives the same in several threads, errors included', async () => {
    const candidates = clustered(1_500, 33, 20, 21)
    const queries = clustered(14_001, 33, 20, 21, 1)
    const alone = await createExactNeighbours(candidates, { distance: 'l2', threads: 1 })
    const shared = await createExactNeighbours(candidates, { distance: 'l2', threads: 3 })
    const { indices } = await alone.nearest(queries, 5)
    expect((await shared.nearest(queries, 5)).indices).toEqual(indices)
    // That was enough to start two others with the next call, which work from the first call on that finds them ready.
    expect((await shared.nearest(queries, 5)).indices).toEqual(indices)
    await expect.poll(() => threads).toMatchObject({ ready: 2, asked: 0 })
    expect((await shared.nearest(queries, 5)).indices).toEqual(indices)
    expect(threads.asked).toBeGreaterThan(10)
    const spoilt = matrix(queries.rows, queries.dim, queries.values.slice())
    spoilt.values[queries.values.length - 1] = Number.NaN
    await expect(shared.nearest(spoilt, 5)).rejects.toThrow(RangeError)
    expect((await shared.nearest(queries, 5)).indices).toEqual(indices)
    await shared.dispose()
    await alone.dispose()
  })

  it('is the plain loop in 64 bits, with duplicates, ties and values of all sizes', async () => {
    await fc.assert(
      fc.asyncProperty(problem, async ({ candidates, queries, k, distance }) => {
        const neighbours = await createExactNeighbours(candidates, { distance })
        const { indices } = await neighbours.nearest(queries, k)
        expect([...indices]).toEqual(bruteForce(candidates, queries, k, distance))
      }),
      { numRuns: 1_000 },
    )
  })

  it.each(['l2', 'cosine'] as const)(
    'is the plain loop among nearly equal candidates by %s',
    async (distance) => {
      // Differences of a few units in the last place: the 32-bit scores alone would rank these wrongly.
      const candidates = matrix(500, 384)
      const base = clustered(1, 384, 1, 7).values
      for (let i = 0; i < 500; i++) {
        candidates.values.set(base, i * 384)
        candidates.values[i * 384 + (i % 384)] = (base[i % 384] as number) * (1 + (i % 7) * 2 ** -22)
      }
      const queries = clustered(6, 384, 1, 7, 1)
      const neighbours = await createExactNeighbours(candidates, { distance })
      expect([...(await neighbours.nearest(queries, 20)).indices]).toEqual(
        bruteForce(candidates, queries, 20, distance),
      )
    },
  )

  it('works through queries in blocks and candidates in parts', async () => {
    // 64 queries are a block, 16,384 candidates a part.
    const candidates = clustered(17_000, 4, 9, 8)
    const queries = clustered(130, 4, 9, 8, 1)
    const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
    const { indices } = await neighbours.nearest(queries, 2)
    for (const i of [0, 63, 64, 129]) {
      const alone = matrix(1, 4, queries.values.slice(i * 4, i * 4 + 4))
      expect([...indices.subarray(2 * i, 2 * i + 2)]).toEqual(bruteForce(candidates, alone, 2, 'l2'))
    }
    expect(indices.some((index) => index >= 16_384)).toBe(true)
    await neighbours.dispose()
  })
})

describe('scores', () => {
  it.each(['l2', 'cosine'] as const)('are as near to the truth by %s as they say', async (distance) => {
    // 90 dimensions, so that rows are padded.
    const candidates = clustered(700, 90, 9, 11)
    const queries = clustered(40, 90, 9, 11, 1)
    const norms = checkedNorms(candidates, 'candidates')
    const { factors, terms } = scoreTerms(norms, distance)
    const kernel = createNearestKernel({ candidates, factors, terms, rows: 40, part: PART })
    // 63 levels are for processors that would cut sums of larger numbers.
    for (const levels of [127, 63] as const) {
      const scorer = await createScorer(candidates, norms, distance, { levels })
      const step = stepOf(kernel.load(queries), levels)
      await scorer.score(kernel.quantise(40, step, levels + 1), 40, step, kernel.scores(40))
      await scorer.release()
      let used = 0
      kernel.scores(40).forEach((score, at) => {
        const [i, c] = [Math.floor(at / 700), at % 700]
        const product = dot(row(queries, i), row(candidates, c))
        const truth = product * (factors[c] as number) - (terms[c] as number)
        const rounded = { step, lost: kernel.lost[i] as number, kept: kernel.kept[i] as number }
        used = Math.max(used, Math.abs(score - truth) / scorer.error(rounded))
      })
      // Worst cases are not met by chance, but the bounds are no phantasy either.
      expect(used).toBeLessThan(1)
      expect(used).toBeGreaterThan(0.001)
    }
  })
})

describe('the kernel', () => {
  it('is what its source says: npm run kernel', async () => {
    const path = resolve(import.meta.dirname, '../../src/histogram/kernel/nearest.wasm.ts')
    expect(readFileSync(path, 'utf8')).toBe(await kernelModule())
  })

  it('finds the largest magnitude, and says when one value is not a number', () => {
    const candidates = clustered(1, 20, 1, 1)
    const one = Float64Array.of(1)
    const kernel = createNearestKernel({ candidates, factors: one, terms: one, rows: 2, part: PART })
    const values = Float32Array.from({ length: 40 }, (_, i) => (i === 33 ? -7.5 : i % 5))
    expect(kernel.load(matrix(2, 20, values))).toBe(7.5)
    values[39] = Number.NaN
    expect(kernel.load(matrix(2, 20, values))).toBeNaN()
  })

  it('refuses more candidates than it can address, before it takes any memory', async () => {
    const many = { rows: 3_000_000, dim: 384, values: new Float32Array() }
    const none = new Float64Array()
    expect(() =>
      createNearestKernel({ candidates: many, factors: none, terms: none, rows: 64, part: PART }),
    ).toThrow('expected candidates that fit into 4 GiB for exact search, got 3000000 of 384 dimensions')
  })
})
