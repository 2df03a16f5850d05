// How far one arm lies from another: exact values, clients drawn once for both, releases drawn whole, and what is no difference.
import { describe, expect, it } from 'vitest'
import { differences } from '../../src/compare/difference.ts'
import type { EvaluatedModel } from '../../src/evaluate/next-token.ts'
import { seededRandom } from '../../src/random.ts'

const model = (
  correct: readonly number[],
  more: { corpus?: number; vocabulary?: number } = {},
): EvaluatedModel => ({
  sums: {
    clients: correct.map((count) => ({
      tokens: 100,
      // Nats that say something else than the accuracy.
      crossEntropy: 100 * (5 - count / 50),
      correct: [count, count, count, 100],
      bytes: 400,
    })),
    texts: correct.length,
    cut: 0,
    vocabulary: more.vocabulary ?? 1000,
    parameters: 1,
    device: 'cpu',
  },
  ...(more.corpus === undefined ? {} : { corpus: more.corpus }),
})
const options = () => ({ resamples: 400, random: seededRandom(1) })
/** Clients of whom some are much easier than others. */
const easy = Array.from({ length: 40 }, (_, i) => 5 + 2 * (i % 20))
const shifted = easy.map((count) => count + 3)

describe('the difference of two arms', () => {
  it('is own minus other, over the same clients in each draw', () => {
    const found = differences([model(shifted)], [model(easy)], options())
    // Clients differ by 38 points among themselves; that is in neither interval, since all gain three.
    for (const end of ['value', 'low', 'high'] as const) {
      expect(found['top-1']?.[end]).toBeCloseTo(0.03, 9)
      expect(found['cross-entropy']?.[end]).toBeCloseTo(-0.06, 9)
    }
  })

  it('is wide where the gain is some clients’ alone', () => {
    const some = easy.map((count, i) => (i < 20 ? count + 6 : count))
    const found = differences([model(some)], [model(easy)], options())['top-1']
    expect(found?.value).toBeCloseTo(0.03, 9)
    // Half of 40 clients, drawn with repetition: a standard error of 3 / sqrt(40) points.
    const half = ((found?.high as number) - (found?.low as number)) / 2
    expect(half / (1.96 * 0.03)).toBeGreaterThan(0.7 / Math.sqrt(40))
    expect(half / (1.96 * 0.03)).toBeLessThan(1.3 / Math.sqrt(40))
  })

  it('holds what releases differ by, however many trainings share one', () => {
    const own = [0, 0, 0, 6, 6, 6].map((more, i) =>
      model(
        easy.map((count) => count + more),
        { corpus: i < 3 ? 0 : 1 },
      ),
    )
    const found = differences(own, [model(easy)], options())['top-1']
    expect(found?.value).toBeCloseTo(0.03, 9)
    // One of the two releases drawn twice, in a quarter of the draws each.
    expect(found?.low).toBeCloseTo(0, 9)
    expect(found?.high).toBeCloseTo(0.06, 9)
  })

  it('is nothing between models of other vocabularies, other clients, or none', () => {
    expect(differences([model(easy, { vocabulary: 2000 })], [model(easy)], options())).toEqual({})
    expect(differences([model(easy.slice(1))], [model(easy)], options())).toEqual({})
    expect(differences([], [model(easy)], options())).toEqual({})
    expect(differences([model(easy)], [], options())).toEqual({})
  })
})
