// From sums for each client to figures: exact values, intervals over clients and over seeds, and their coverage.
import { describe, expect, it } from 'vitest'
import { drawModels, type ModelSums, nextTokenFigures } from '../../src/evaluate/next-token.ts'
import { seededRandom } from '../../src/random.ts'

const client = (tokens: number, correct: number) => ({
  tokens,
  crossEntropy: tokens * 2,
  correct: [correct, correct, correct, tokens],
  bytes: tokens * 4,
})
const sums = (clients: ModelSums['clients']): ModelSums => ({
  clients,
  texts: 9,
  cut: 1,
  vocabulary: 100,
  parameters: 1000,
  device: 'cpu',
})
const options = { resamples: 1000, random: seededRandom(1) }

describe('next-token figures', () => {
  it('every token counts alike, however many a client has', () => {
    const figures = nextTokenFigures(
      'corpus',
      [{ path: 'm', sums: sums([client(10, 10), client(90, 0)]) }],
      options,
    )
    expect(figures).toMatchObject({ tokens: 100, clients: 2, models: ['m'] })
    expect(figures.figures['top-1']?.value).toBeCloseTo(0.1, 12)
    expect(figures.figures['top-10']).toEqual({ value: 1, low: 1, high: 1 })
    expect(figures.figures['cross-entropy']?.value).toBeCloseTo(2, 12)
    expect(figures.figures['bits-per-byte']?.value).toBeCloseTo(2 / Math.LN2 / 4, 12)
    // One of two clients drawn twice: the interval goes from one of them to the other.
    expect(figures.figures['top-1']).toMatchObject({ low: 0, high: 1 })
  })

  it('over several models the value is their mean, and seeds that differ widen the interval', () => {
    const clients = (correct: number) => Array.from({ length: 200 }, () => client(10, correct))
    const one = nextTokenFigures('corpus', [{ path: 'a', sums: sums(clients(3)) }], options)
    const both = nextTokenFigures(
      'corpus',
      [
        { path: 'a', sums: sums(clients(3)) },
        { path: 'b', sums: sums(clients(5)) },
      ],
      options,
    )
    expect(one.figures['top-1']?.low).toBeCloseTo(0.3, 9)
    expect(one.figures['top-1']?.high).toBeCloseTo(0.3, 9)
    expect(both.figures['top-1']?.value).toBeCloseTo(0.4, 9)
    expect(both.figures['top-1']?.low).toBeCloseTo(0.3, 9)
    expect(both.figures['top-1']?.high).toBeCloseTo(0.5, 9)
  })

  it('the interval covers the truth about as often as it says (60 clients, 300 trials, seeded)', () => {
    const random = seededRandom(7)
    let covered = 0
    for (let trial = 0; trial < 300; trial++) {
      const clients = Array.from({ length: 60 }, () => {
        const skill = random.next()
        const correct = Array.from({ length: 20 }, () => random.next() < skill).filter(Boolean).length
        return client(20, correct)
      })
      const { figures } = nextTokenFigures('corpus', [{ path: 'm', sums: sums(clients) }], {
        resamples: 200,
        random: random.fork('draws', trial),
      })
      const { low, high } = figures['top-1'] as { low: number; high: number }
      if (low <= 0.5 && high >= 0.5) covered++
    }
    // 95% nominal; 0.91 is more than three standard errors below, which a bootstrap over tokens would not reach.
    expect(covered / 300).toBeGreaterThan(0.91)
    expect(covered / 300).toBeLessThan(0.99)
  })
})

describe('models that are drawn', () => {
  const random = seededRandom(3)

  it('are each by itself where each has a corpus of its own', () => {
    const models = [{ id: 0 }, { id: 1 }, { id: 2 }] as { id: number; corpus?: number }[]
    const seen = new Set<string>()
    for (let i = 0; i < 600; i++) {
      const drawn = drawModels(models, random)
      expect(drawn).toHaveLength(3)
      seen.add(drawn.map(({ id }) => id).join(''))
    }
    // All 27 of them: one is missing once in 10^8 runs.
    expect(seen.size).toBe(27)
  })

  it('come corpus by corpus where some share one: what a release has by chance is in all of its trainings', () => {
    const models = [0, 1, 0, 1, 0].map((corpus, id) => ({ id, corpus }))
    const mixtures = new Map<string, number>()
    for (let i = 0; i < 4000; i++) {
      const drawn = drawModels(models, random).map(({ corpus }) => corpus)
      mixtures.set(drawn.join(''), (mixtures.get(drawn.join('')) ?? 0) + 1)
    }
    // Two corpora, of three and of two trainings, with repetition; a quarter each, within six standard deviations.
    expect([...mixtures.keys()].sort()).toEqual(['000000', '00011', '11000', '1111'])
    for (const count of mixtures.values()) expect(Math.abs(count - 1000)).toBeLessThan(165)
  })

  it('are the one that there is', () => {
    expect(drawModels([{ corpus: 4 }], random)).toEqual([{ corpus: 4 }])
  })
})
