import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sharesFromVotes } from '../../src/evolution/labels.ts'
import { apportion, scheduled } from '../../src/evolution/population.ts'
import { chooseParents, type SurvivorOptions, selectSurvivors } from '../../src/evolution/survivors.ts'
import { seededRandom } from '../../src/random.ts'

const options = (
  threshold: SurvivorOptions['threshold'],
  by: SurvivorOptions['by'] = 'resample',
): SurvivorOptions => ({
  threshold,
  by,
  keepParents: 0.5,
})

describe('survivors', () => {
  it('are the candidates with votes above the threshold, best first, weighted by what lies above it', () => {
    const selection = selectSurvivors([1, 5, 3, 2, -4], 2, options({ sigma: 1 }))
    expect(selection).toEqual({ survivors: [1, 2], weights: [3, 1], threshold: 2, fellBack: false })
  })

  it('fall back to the best tenth where nothing passes: upstream divides by zero there', () => {
    const votes = Array.from({ length: 40 }, (_, i) => -i - 1)
    const selection = selectSurvivors(votes, 1, options({ sigma: 0 }))
    expect(selection.fellBack).toBe(true)
    expect(selection.survivors).toEqual([0, 1, 2, 3])
    expect(selection.weights.every((w) => w > 0 && Number.isFinite(w))).toBe(true)
  })

  it('of a top share have positive weights even where all votes are equal or negative', () => {
    for (const votes of [
      [0, 0, 0, 0],
      [-3, -1, -2, -9],
      [7, 7, 7, 7],
    ]) {
      const { survivors, weights } = selectSurvivors(votes, 0, options({ topShare: 0.5 }))
      expect(survivors).toHaveLength(2)
      expect(weights.every((w) => w > 0)).toBe(true)
    }
  })

  it('are at most the top share of those above the threshold where both are given', () => {
    const votes = [9, 5, 8, 1, 7, 2, 0, 3]
    const both = (sigma: number) => selectSurvivors(votes, 2, options({ sigma, topShare: 0.25 }))
    expect(both(3)).toEqual({ survivors: [0, 2], weights: [3, 2], threshold: 6, fellBack: false })
    expect(both(4)).toEqual({ survivors: [0], weights: [1], threshold: 8, fellBack: false })
    expect(both(5)).toEqual({ survivors: [0, 2], weights: [9, 8], threshold: null, fellBack: true })
  })

  it('there is always one, and the next population has its size', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 80 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.constantFrom('resample' as const, 'rank' as const),
        fc.constantFrom({ sigma: 1 }, { topShare: 0.1 }, { sigma: 2, topShare: 0.2 }),
        (votes, size, keepParents, by, threshold) => {
          const o = { threshold, by, keepParents }
          const selection = selectSurvivors(votes, 10, o)
          expect(selection.survivors.length).toBeGreaterThan(0)
          const { kept, parents } = chooseParents(selection, size, o, seededRandom(1))
          expect(kept.length + parents.length).toBe(size)
          expect(kept.length).toBeLessThanOrEqual(keepParents * size)
          for (const p of parents) expect(selection.survivors).toContain(p)
          expect(kept).toEqual(selection.survivors.slice(0, kept.length))
        },
      ),
      { seed: 6, numRuns: 300 },
    )
  })

  it('become parents in proportion to their votes above the threshold (chi-square, alpha 1e-6, n 20,000)', () => {
    const o = { ...options({ sigma: 0 }), keepParents: 0 }
    const selection = selectSurvivors([1, 2, 3, 4], 1, o)
    const { parents } = chooseParents(selection, 20_000, o, seededRandom(7))
    let statistic = 0
    for (const i of [0, 1, 2, 3]) {
      const expected = (20_000 * (i + 1)) / 10
      statistic += (parents.filter((p) => p === i).length - expected) ** 2 / expected
    }
    expect(statistic).toBeLessThan(30.66)
  })

  it('by rank, the best have most children', () => {
    const o = { ...options({ sigma: 0 }, 'rank'), keepParents: 0 }
    expect(chooseParents(selectSurvivors([3, 9, 1], 1, o), 5, o, seededRandom(0)).parents).toEqual([
      1, 0, 2, 1, 0,
    ])
  })
})

describe('sizes', () => {
  it('add up exactly, whatever the shares', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 0, max: 5000 }),
        (shares, total) => {
          const sizes = apportion(shares, total)
          expect(sizes.reduce((a, b) => a + b, 0)).toBe(total)
          expect(sizes.every((s) => s >= 0)).toBe(true)
        },
      ),
      { seed: 8 },
    )
    expect(apportion([0.5, 0.3, 0.2], 10)).toEqual([5, 3, 2])
  })

  it('follow a schedule whose last value repeats', () => {
    expect([1, 2, 3, 9].map((t) => scheduled([64, 32, 16], t))).toEqual([64, 32, 16, 16])
    expect(scheduled(8, 3)).toBe(8)
  })

  it('of labels come from noisy votes without their noise below zero', () => {
    expect(sharesFromVotes([3, -1, 1])).toEqual([0.75, 0, 0.25])
    expect(sharesFromVotes([-3, -1])).toEqual([0.5, 0.5])
  })
})
