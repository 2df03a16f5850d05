// What every Neighbours promises, as a suite that each backend runs.
import { describe, expect, it } from 'vitest'
import { type Matrix, matrix, row } from '../../src/embeddings/matrix.ts'
import type { Distance, Neighbours } from '../../src/histogram/neighbours.ts'
import { seededRandom } from '../../src/random.ts'

export type CreateNeighbours = (
  candidates: Matrix,
  options: { distance: Distance; seed: number },
) => Promise<Neighbours>

/** The definition, in 64 bits: nearest first, ties to the lower index. */
export function bruteForce(candidates: Matrix, queries: Matrix, k: number, distance: Distance): number[] {
  return Array.from({ length: queries.rows }, (_, i) => {
    const query = row(queries, i)
    const far = Array.from({ length: candidates.rows }, (_, c) => {
      const candidate = row(candidates, c)
      let product = 0
      let square = 0
      let gap = 0
      for (let d = 0; d < candidates.dim; d++) {
        const [q, v] = [query[d] as number, candidate[d] as number]
        product += q * v
        square += v * v
        gap += (q - v) ** 2
      }
      if (distance === 'l2') return gap
      return square === 0 ? 0 : -product / Math.sqrt(square)
    })
    return Array.from(far.keys())
      .sort((a, b) => (far[a] as number) - (far[b] as number) || a - b)
      .slice(0, k)
  }).flat()
}

/** Points around `centres` random centres, as texts lie around topics; norms between 0.5 and 1, as of means. */
export function clustered(rows: number, dim: number, centres: number, seed: number, draw = 0): Matrix {
  const at = seededRandom(seed, 'centres')
  const centre = matrix(
    centres,
    dim,
    Float32Array.from({ length: centres * dim }, () => at.next() - 0.5),
  )
  const random = seededRandom(seed, 'points', draw)
  const out = matrix(rows, dim)
  for (let i = 0; i < rows; i++) {
    const c = row(centre, random.integer(centres))
    const point = c.map((value) => value + 0.5 * (random.next() - 0.5))
    const length = Math.sqrt(point.reduce((sum, value) => sum + value * value, 0))
    const norm = 0.5 + random.next() / 2
    row(out, i).set(point.map((value) => (value / length) * norm))
  }
  return out
}

export function neighboursContract(name: string, create: CreateNeighbours): void {
  describe.each(['l2', 'cosine'] as const)(`${name} by %s keeps the contract of Neighbours`, (distance) => {
    const make = (candidates: Matrix) => create(candidates, { distance, seed: 1 })

    it('finds itself first, and a copy of it with the lower index before it', async () => {
      const candidates = clustered(300, 24, 8, 2)
      candidates.values.copyWithin(250 * 24, 10 * 24, 11 * 24)
      const neighbours = await make(candidates)
      const { indices, k } = await neighbours.nearest(matrix(1, 24, row(candidates, 250)), 2)
      expect([k, ...indices]).toEqual([2, 10, 250])
      await neighbours.dispose()
    })

    it('finds at least nine in ten of the nearest in clustered points', async () => {
      const candidates = clustered(2_000, 48, 40, 3)
      const queries = clustered(100, 48, 40, 3, 1)
      const neighbours = await make(candidates)
      const { indices } = await neighbours.nearest(queries, 8)
      const truth = bruteForce(candidates, queries, 8, distance)
      let hits = 0
      for (let i = 0; i < 100; i++) {
        const own = new Set(indices.subarray(i * 8, i * 8 + 8))
        expect(own.size).toBe(8)
        hits += truth.slice(i * 8, i * 8 + 8).filter((index) => own.has(index)).length
      }
      expect(hits / 800).toBeGreaterThanOrEqual(0.9)
      expect(neighbours.recall).toBeGreaterThanOrEqual(0.9)
      expect(neighbours.recall).toBeLessThanOrEqual(1)
    })

    it('gives the same answer twice, and for a query alone', async () => {
      const candidates = clustered(500, 24, 8, 4)
      const queries = clustered(5, 24, 8, 4, 1)
      const first = await (await make(candidates)).nearest(queries, 4)
      const again = await make(candidates)
      expect((await again.nearest(queries, 4)).indices).toEqual(first.indices)
      for (let i = 0; i < 5; i++) {
        const alone = await again.nearest(matrix(1, 24, row(queries, i)), 4)
        expect(alone.indices).toEqual(first.indices.slice(i * 4, i * 4 + 4))
      }
    })

    it('gives k different candidates where all are equal, and for k of all of them', async () => {
      const equal = matrix(40, 8, new Float32Array(320).fill(0.25))
      const neighbours = await make(equal)
      const { indices } = await neighbours.nearest(matrix(1, 8, new Float32Array(8).fill(1)), 40)
      expect([...indices]).toEqual(Array.from({ length: 40 }, (_, i) => i))
    })

    it('works with one candidate, with a zero vector and with no queries', async () => {
      const one = await make(matrix(1, 8, new Float32Array(8).fill(1)))
      expect([...(await one.nearest(matrix(1, 8), 1)).indices]).toEqual([0])
      expect((await one.nearest(matrix(0, 8), 1)).indices).toHaveLength(0)
    })

    it('refuses a k that there are not enough candidates for, and queries of another dim', async () => {
      const neighbours = await make(clustered(5, 8, 2, 5))
      const query = matrix(1, 8)
      for (const k of [0, 6, 1.5]) {
        await expect(neighbours.nearest(query, k)).rejects.toThrow(
          new RangeError(`expected k to be an integer from 1 to the 5 candidates, got ${k}`),
        )
      }
      await expect(neighbours.nearest(matrix(1, 7), 1)).rejects.toThrow(
        new RangeError('expected queries of dim 8 like the candidates, got 7'),
      )
    })

    it('refuses values that are not finite', async () => {
      const bad = clustered(3, 8, 2, 6)
      bad.values[9] = Number.NaN
      await expect(make(bad)).rejects.toThrow(
        new RangeError(
          'expected candidates of finite values with norms up to 1000000000000000000, row 1 is not',
        ),
      )
      const neighbours = await make(clustered(3, 8, 2, 6))
      await expect(neighbours.nearest(bad, 1)).rejects.toThrow(RangeError)
    })
  })
}
