// What every Embedder promises, as a suite that each implementation runs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { dot, type Matrix, row } from '../../src/embeddings/matrix.ts'

export const SENTENCES = [
  'the cat sat on the mat',
  'a cat sat on the old mat',
  'rain and sun over the stone bridge',
  'a dog ran in the dark garden',
  'it was a cold house',
]

const AWKWARD = [
  '',
  ' \n\t ',
  '東京タワー',
  'a\u0301 e\u0301 naïve',
  '😀👩‍👩‍👧‍👦',
  'half a pair \ud83d',
  '\u0000',
  'مرحبا',
]

export interface EmbedderContract {
  readonly create: () => Promise<Embedder>
  /** Two texts that must lie nearer to each other than either to the third. */
  readonly near: readonly [string, string, string]
  /** Largest difference of a value that may come from the other texts of a call. */
  readonly batchTolerance: number
}

export function embedderContract(name: string, contract: EmbedderContract): void {
  describe(`${name} keeps the contract of an Embedder`, () => {
    let embedder: Embedder
    beforeAll(async () => {
      embedder = await contract.create()
    })
    afterAll(() => embedder.dispose())

    it('gives one unit row of the stated dim for each text, also awkward ones', async () => {
      const texts = [...SENTENCES, ...AWKWARD, 'word '.repeat(20_000), `${'x'.repeat(300_000)} y`]
      const rows = await embedder.embed(texts)
      expect([rows.rows, rows.dim]).toEqual([texts.length, embedder.identity.dim])
      for (let i = 0; i < texts.length; i++) expect(norm(rows, i)).toBeCloseTo(1, 5)
    })

    it('gives an empty matrix for no texts', async () => {
      expect(await embedder.embed([])).toEqual({
        values: new Float32Array(),
        rows: 0,
        dim: embedder.identity.dim,
      })
    })

    it('gives the same bits for the same call', async () => {
      expect(await embedder.embed(SENTENCES)).toEqual(await embedder.embed(SENTENCES))
    })

    it('keeps the order, and places a text alone where it places it among others', async () => {
      const texts = [...SENTENCES, ...AWKWARD, 'cat '.repeat(40)]
      const together = await embedder.embed(texts)
      for (const [i, text] of texts.entries()) {
        const alone = row(await embedder.embed([text]), 0)
        const difference = Math.max(
          ...row(together, i).map((value, d) => Math.abs(value - (alone[d] as number))),
        )
        expect(difference).toBeLessThanOrEqual(contract.batchTolerance)
      }
    })

    it('places near texts nearer than far ones', async () => {
      const rows = await embedder.embed(contract.near)
      const cosine = (i: number, j: number) => dot(row(rows, i), row(rows, j))
      expect(cosine(0, 1)).toBeGreaterThan(cosine(0, 2) + 0.1)
      expect(cosine(0, 1)).toBeGreaterThan(cosine(1, 2) + 0.1)
    })

    it('stops on an aborted signal', async () => {
      const reason = new Error('enough')
      await expect(embedder.embed(SENTENCES, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    })

    it('says what it is and where it runs', () => {
      const { sha256, normalised, dim } = embedder.identity
      expect(sha256).toMatch(/^[0-9a-f]{64}$/)
      expect(normalised).toBe(true)
      expect(dim).toBeGreaterThan(0)
      expect(embedder.device.why).not.toBe('')
    })
  })
}

function norm(m: Matrix, index: number): number {
  return Math.sqrt(dot(row(m, index), row(m, index)))
}
