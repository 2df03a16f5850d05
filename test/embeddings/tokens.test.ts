import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packBatches, padded, tokenEncoder } from '../../src/embeddings/tokens.ts'

/** One token a character, between 1 and 2. */
const tokenizer = {
  encode: (text: string) => [1, ...[...text].map((c) => 1_000 + (c.codePointAt(0) ?? 0)), 2],
}

describe('token ids', () => {
  it('never exceed maxTokens and keep their opening and closing tokens', () => {
    const encode = tokenEncoder(tokenizer, 0)
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 4, max: 12 }), (text, maxTokens) => {
        const ids = encode(text, maxTokens)
        const all = tokenizer.encode(text)
        expect(ids).toEqual(all.length <= maxTokens ? all : [...all.slice(0, maxTokens - 1), 2])
      }),
    )
  })

  it('read no further than they can use, and not into a surrogate pair', () => {
    let read = ''
    const encode = tokenEncoder(
      {
        encode: (text) => {
          read = text
          return [...text].map((c) => c.codePointAt(0) ?? 0)
        },
      },
      0,
    )
    encode(`${'x'.repeat(255)}😀${'y'.repeat(1e6)}`, 4)
    expect(read).toBe('x'.repeat(255))
  })

  it('are one stand-in token where a tokenizer has none for a text', () => {
    expect(tokenEncoder({ encode: (text) => [...text].map(() => 5) }, 9)('', 8)).toEqual([9])
  })
})

describe('batches', () => {
  it('hold every sequence once, within the limit, with at most a twentieth of padding', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 128 }), { maxLength: 60 })
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 600 }), (all, limit) => {
        const batches = packBatches(all, limit)
        const placed = batches.flatMap(({ rows }) => rows)
        expect([...placed].sort((a, b) => a - b)).toEqual([...all.keys()])
        for (const { rows, length } of batches) {
          const own = rows.map((i) => all[i] as number)
          expect(length).toBe(Math.max(...own))
          if (rows.length === 1) continue
          expect(rows.length * length).toBeLessThanOrEqual(limit)
          expect(own.reduce((a, b) => a + b)).toBeGreaterThanOrEqual(0.95 * rows.length * length - 1e-9)
        }
      }),
    )
  })

  it('are padded at the end behind the attention mask', () => {
    expect(padded([[7, 8], [9]])).toEqual({
      inputs: {
        input_ids: BigInt64Array.from([7n, 8n, 9n, 0n]),
        attention_mask: BigInt64Array.from([1n, 1n, 1n, 0n]),
        token_type_ids: new BigInt64Array(4),
      },
      shape: [2, 2],
    })
  })
})
