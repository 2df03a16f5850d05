import fc from 'fast-check'
import { expect, it } from 'vitest'
import { shareThreads } from '../../src/llm/llama-threads.ts'

it.each([
  [16, 1, [[16, 1]]],
  [
    16,
    2,
    [
      [8, 1],
      [8, 1],
    ],
  ],
  [
    16,
    4,
    [
      [4, 1],
      [4, 1],
      [4, 1],
      [4, 1],
    ],
  ],
  [
    16,
    8,
    [
      [6, 2],
      [5, 2],
      [5, 2],
    ],
  ],
  [
    16,
    16,
    [
      [4, 3],
      [4, 3],
      [4, 3],
      [4, 3],
    ],
  ],
  [1, 2, [[1, 1]]],
  [1, 8, [[1, 7]]],
  [
    5,
    2,
    [
      [3, 1],
      [2, 1],
    ],
  ],
])('%i sequences on %i cores', (sequences, cores, wanted) => {
  expect(shareThreads(sequences, cores).map((share) => [share.sequences, share.threads])).toEqual(wanted)
})

it('gives every sequence a context and no context more cores than there are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 256 }), (sequences, cores) => {
      const shares = shareThreads(sequences, cores)
      expect(shares.reduce((sum, share) => sum + share.sequences, 0)).toBe(sequences)
      expect(shares.reduce((sum, share) => sum + share.threads, 0)).toBeLessThanOrEqual(cores)
      for (const share of shares) expect(Math.min(share.sequences, share.threads)).toBeGreaterThan(0)
    }),
  )
})
