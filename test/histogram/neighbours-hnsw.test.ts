import { describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { createNeighbours } from '../../src/histogram/create-neighbours.ts'
import { createHnswNeighbours } from '../../src/histogram/hnsw.ts'
import { seededRandom } from '../../src/random.ts'
import { hnswInstalled } from './hnsw-installed.ts'
import { clustered, neighboursContract } from './neighbours-contract.ts'

if (hnswInstalled) neighboursContract('hnsw', createHnswNeighbours)

describe.skipIf(!hnswInstalled)('hnsw', () => {
  it('reports a recall below 1 where its search is too narrow for the points', async () => {
    // Random directions in many dimensions are the hard case: all are about equally far.
    const random = seededRandom(9)
    const values = Float32Array.from({ length: 3_000 * 96 }, () => random.next() - 0.5)
    const options = { distance: 'l2', seed: 1, links: 4, buildWidth: 10, searchWidth: 10 } as const
    const narrow = await createHnswNeighbours(matrix(3_000, 96, values), options)
    expect(narrow.recall).toBeGreaterThan(0)
    expect(narrow.recall).toBeLessThan(0.8)
  })

  it('measures recall on the queries it is given', async () => {
    const candidates = clustered(400, 16, 5, 10)
    const recallQueries = clustered(30, 16, 5, 10, 1)
    const neighbours = await createHnswNeighbours(candidates, {
      distance: 'cosine',
      seed: 1,
      recallQueries,
      recallK: 3,
    })
    expect(neighbours.recall).toBeGreaterThan(0.9)
  })

  it('names the command that installs it where it is not', async () => {
    const load = () => Promise.reject(new Error('no such package'))
    await expect(
      createHnswNeighbours(clustered(5, 8, 1, 1), { distance: 'l2', seed: 1, load }),
    ).rejects.toMatchObject({
      code: 'dependency',
      message: 'expected the package hnswlib-node for the hnsw backend, and it could not be loaded',
      hint: 'npm install hnswlib-node@3.0.0 (it is compiled on installation), or use the exact backend',
    })
  })
})

describe('the backend of a config', () => {
  it.skipIf(!hnswInstalled)('is the one asked for; auto is exact', async () => {
    const candidates = clustered(50, 8, 2, 1)
    const backendOf = async (backend: 'exact' | 'hnsw' | 'auto') =>
      (await createNeighbours(candidates, { backend, distance: 'l2', seed: 1 })).backend
    expect([await backendOf('exact'), await backendOf('hnsw'), await backendOf('auto')]).toEqual([
      'exact',
      'hnsw',
      'exact',
    ])
  })

  it('needs a candidate', async () => {
    await expect(
      createNeighbours(matrix(0, 8), { backend: 'auto', distance: 'l2', seed: 1 }),
    ).rejects.toThrow(new RangeError('expected at least one candidate, got none'))
  })
})
