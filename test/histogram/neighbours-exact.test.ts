import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matrix, row } from '../../src/embeddings/matrix.ts'
import { createExactNeighbours } from '../../src/histogram/exact.ts'
import { checkedNorms } from '../../src/histogram/measure.ts'
import { createFloatScorer, createInt8Scorer, exactScore } from '../../src/histogram/scoring.ts'
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

  it('works through queries in blocks and candidates in parts', async () => {
    // 1,024 queries are a block, 16,384 candidates a part: two of each.
    const candidates = clustered(17_000, 4, 9, 8)
    const queries = clustered(1_100, 4, 9, 8, 1)
    const neighbours = await createExactNeighbours(candidates, { distance: 'l2' })
    const { indices } = await neighbours.nearest(queries, 2)
    for (const i of [0, 1_023, 1_024, 1_099]) {
      const alone = matrix(1, 4, queries.values.slice(i * 4, i * 4 + 4))
      expect([...indices.subarray(2 * i, 2 * i + 2)]).toEqual(bruteForce(candidates, alone, 2, 'l2'))
    }
    expect(indices.some((index) => index >= 16_384)).toBe(true)
    await neighbours.dispose()
  })
})

describe('scores', () => {
  it.each(['l2', 'cosine'] as const)('are as near to the truth by %s as they say', async (distance) => {
    const candidates = clustered(700, 96, 9, 11)
    const queries = clustered(40, 96, 9, 11, 1)
    const norms = checkedNorms(candidates, 'candidates')
    const exact = exactScore(candidates, norms, distance)
    const scorers = [
      await createInt8Scorer(candidates, norms, distance, { levels: 127 }),
      // For processors that would cut sums of larger numbers.
      await createInt8Scorer(candidates, norms, distance, { levels: 63 }),
      await createFloatScorer(candidates, norms, distance),
    ]
    const largest: number[] = []
    for (const scorer of scorers) {
      const { parts, errors } = await scorer.score(queries, 700)
      let used = 0
      parts[0]?.scores.forEach((score, at) => {
        const i = Math.floor(at / 700)
        const truth = exact.score(row(queries, i), Number(parts[0]?.indices[at]))
        used = Math.max(used, Math.abs(score - truth) / (errors[i] as number))
      })
      largest.push(used)
      await scorer.release()
    }
    // Worst cases are not met by chance, but the bounds are no phantasy either.
    for (const used of largest) {
      expect(used).toBeLessThan(1)
      expect(used).toBeGreaterThan(0.001)
    }
  })
})
