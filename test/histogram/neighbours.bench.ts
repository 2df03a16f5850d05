// The nearest of one client's 4 texts (k = 8) among 384-dimensional candidates: npx vitest bench test/histogram
import { bench, describe } from 'vitest'
import { createExactNeighbours } from '../../src/histogram/exact.ts'
import { createHnswNeighbours } from '../../src/histogram/hnsw.ts'
import { bruteForce, clustered } from './neighbours-contract.ts'

for (const rows of [1_000, 10_000, 100_000]) {
  describe(`${rows} candidates`, async () => {
    const candidates = clustered(rows, 384, 50, 1)
    const queries = clustered(4, 384, 50, 1, 1)
    const exact = await createExactNeighbours(candidates, { distance: 'l2' })
    bench('exact', async () => {
      await exact.nearest(queries, 8)
    })
    if (rows > 10_000) return
    bench('plain loop', () => {
      bruteForce(candidates, queries, 8, 'l2')
    })
    const hnsw = await createHnswNeighbours(candidates, { distance: 'l2', seed: 1 })
    bench(`hnsw, recall ${hnsw.recall.toFixed(3)}`, async () => {
      await hnsw.nearest(queries, 8)
    })
  })
}
