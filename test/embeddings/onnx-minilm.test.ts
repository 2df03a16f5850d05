// all-MiniLM-L6-v2 with int8 weights, from the model store, against the fp32 original (test/golden/embeddings.py).
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEmbedder } from '../../src/embeddings/create.ts'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { dot, row } from '../../src/embeddings/matrix.ts'
import { seededRandom } from '../../src/random.ts'
import { embedderContract } from './contract.ts'

const config = { model: 'all-MiniLM-L6-v2', device: 'cpu' } as const

embedderContract('the ONNX embedder with all-MiniLM-L6-v2', {
  create: () => createEmbedder(config),
  near: [
    'The package does not compile on ARM.',
    'Building from source fails on arm64 machines.',
    'Dinner by the river was wonderful.',
  ],
  // Seen as 3e-8 on x64 with ONNX Runtime 1.30; other processors may sum in yet another order for another shape.
  batchTolerance: 1e-5,
})

describe('all-MiniLM-L6-v2 with int8 weights', () => {
  let embedder: Embedder
  beforeAll(async () => {
    embedder = await createEmbedder(config)
  })
  afterAll(() => embedder.dispose())

  it('places texts where the fp32 original does (cosine of at least 0.99)', async () => {
    const golden = JSON.parse(await readFile(join(import.meta.dirname, '../golden/embeddings.json'), 'utf8'))
    const cases: { text: string; embedding: number[] }[] = golden.cases
    const rows = await embedder.embed(cases.map(({ text }) => text))
    expect(cases).toHaveLength(8)
    for (const [i, { embedding }] of cases.entries()) {
      expect(dot(row(rows, i), Float32Array.from(embedding))).toBeGreaterThan(0.99)
    }
  })

  it('places a text alone where it places it among 31 others of other lengths', async () => {
    const random = seededRandom(1)
    const words = 'package build server river kernel upload market patch window stone license error'.split(
      ' ',
    )
    const texts = Array.from({ length: 32 }, () =>
      Array.from({ length: 15 + random.integer(46) }, () => random.pick(words)).join(' '),
    )
    const together = await embedder.embed(texts)
    let largest = 0
    for (const [i, text] of texts.entries()) {
      const alone = await embedder.embed([text])
      for (const [d, value] of row(together, i).entries()) {
        largest = Math.max(largest, Math.abs(value - (alone.values[d] as number)))
      }
    }
    expect(largest).toBeLessThan(1e-5)
  })
})
