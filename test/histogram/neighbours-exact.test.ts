import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { createExactNeighbours } from '../../src/histogram/exact.ts'
import { bruteForce, clustered, neighboursContract } from './neighbours-contract.ts'

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

  it('works through queries in blocks', async () => {
    // 4,194,304 scores a block: 900 queries of 5,000 candidates are two.
    const candidates = clustered(5_000, 4, 9, 8)
    const queries = clustered(900, 4, 9, 8, 1)
    const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
    const { indices } = await neighbours.nearest(queries, 1)
    const last = matrix(1, 4, queries.values.slice(899 * 4))
    expect(indices[899]).toBe(bruteForce(candidates, last, 1, 'l2')[0])
    expect(indices[0]).toBe(bruteForce(candidates, matrix(1, 4, queries.values.slice(0, 4)), 1, 'l2')[0])
  })
})
