import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import { dot, row } from '../../src/embeddings/matrix.ts'
import { embedderContract } from './contract.ts'

embedderContract('the hashing embedder', {
  create: async () => createHashingEmbedder(),
  near: ['the cat sat on the mat', 'a cat sat on the old mat', 'interest rates rose in spring'],
  batchTolerance: 0,
})

describe('the hashing embedder', () => {
  it('gives every text a unit vector that depends on that text alone', async () => {
    const embedder = createHashingEmbedder({ dim: 256 })
    const texts = fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(texts, async (all) => {
        const together = await embedder.embed(all)
        for (const [i, text] of all.entries()) {
          const own = row(together, i)
          expect(dot(own, own)).toBeCloseTo(1, 5)
          const alone = row(await embedder.embed([text]), 0)
          expect(own.every((value, d) => value === alone[d])).toBe(true)
        }
      }),
      { numRuns: 40 },
    )
  })

  it('ignores case, width and spacing, and sees word order', async () => {
    const rows = await createHashingEmbedder().embed(['The  Cat', 'the cat', 'ｔｈｅ cat', 'cat the'])
    expect(row(rows, 0)).toEqual(row(rows, 1))
    expect(row(rows, 2)).toEqual(row(rows, 1))
    expect(dot(row(rows, 3), row(rows, 1))).toBeLessThan(0.95)
  })

  it('keeps its embeddings from one version to the next', async () => {
    const rows = await createHashingEmbedder({ dim: 256 }).embed(['the cat sat'])
    const largest = [...rows.values.entries()]
      .sort(([i, a], [j, b]) => Math.abs(b) - Math.abs(a) || i - j)
      .slice(0, 4)
    expect(largest.map(([i, value]) => [i, Number(value.toFixed(4))])).toMatchInlineSnapshot(`
      [
        [
          2,
          0.4,
        ],
        [
          62,
          -0.4,
        ],
        [
          213,
          -0.4,
        ],
        [
          17,
          -0.2,
        ],
      ]
    `)
  })

  it('spreads features evenly over places and signs', async () => {
    const { values, rows } = await createHashingEmbedder({ dim: 256 }).embed(
      Array.from({ length: 400 }, (_, i) => ((i * 2_654_435_761) % 2 ** 32).toString(36)),
    )
    // Words without a pattern, so that hardly a trigram is shared.
    const mean = values.reduce((sum, value) => sum + value, 0) / rows
    // 400 texts of some 9 features, norm 1: the sum of signs has a standard deviation near 3 / sqrt(400).
    expect(Math.abs(mean)).toBeLessThan(0.75)
    const used = new Set([...values.keys()].filter((i) => values[i] !== 0).map((i) => i % 256))
    expect(used.size).toBe(256)
  })

  it('refuses a small dim', () => {
    expect(() => createHashingEmbedder({ dim: 64 })).toThrow(
      new RangeError('expected dim to be an integer of at least 256, got 64'),
    )
  })
})
