// The floor: calibrated by honest runs at two settings, computed elsewhere, and the two agree.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expectedBound } from '../../src/audit/floor.ts'
import { gaussianEpsilon } from '../../src/privacy/gaussian.ts'

interface Entry {
  readonly noiseMultiplier: number
  readonly delta: number
  readonly samples: number
  readonly runs: number
  readonly claim: number
  readonly floor: number
  readonly median: number
  readonly largest: number
  readonly aboveClaim: number
  readonly mu: { readonly claim: number; readonly largest: number }
}

const entries: Entry[] = JSON.parse(
  readFileSync(new URL('../../bench/audit-floor.json', import.meta.url), 'utf8'),
)

const question = (mu: number) => ({
  mu,
  delta: 3e-6,
  alpha: 1 - 0.999,
  withTrials: 500_224,
  withoutTrials: 1_500_672,
})

describe('the floor', () => {
  it.each(entries)('noise multiplier $noiseMultiplier: the 1st percentile of honest runs', (entry) => {
    expect(entry).toMatchObject({ runs: 200, samples: 4_000_000, delta: 3e-6, aboveClaim: 0 })
    expect(entry.largest).toBeLessThan(entry.claim)
    expect(entry.mu.largest).toBeLessThan(entry.mu.claim)
    const mu = 1 / entry.noiseMultiplier
    expect(expectedBound(question(mu)).floor).toBe(entry.floor)
    // Just beside the calibrated setting the formula answers: a little lower, and nearly the same.
    const computed = expectedBound({ ...question(mu), mu: mu * (1 + 1e-6) })
    expect(computed.floor).toBeLessThan(entry.floor + 0.05)
    expect(computed.floor).toBeGreaterThan(entry.floor - 0.15)
    expect(Math.abs(computed.typical - entry.median)).toBeLessThan(0.06)
  })

  it('is calibrated for the two multipliers of the paper and the textbook', () => {
    expect(entries.map((entry) => entry.noiseMultiplier)).toEqual([1, 2.31])
  })

  it('lies below what is typical, and that below the claim, wherever it is asked', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.02, max: 6, noNaN: true }),
        fc.integer({ min: 100, max: 500_000 }),
        fc.double({ min: -8, max: -2, noNaN: true }),
        (mu, trials, exponent) => {
          const delta = 10 ** exponent
          const { typical, floor } = expectedBound({
            mu,
            delta,
            alpha: 1e-3,
            withTrials: trials,
            withoutTrials: 3 * trials,
          })
          expect(floor).toBeGreaterThanOrEqual(0)
          expect(floor).toBeLessThanOrEqual(typical)
          expect(typical).toBeLessThanOrEqual(gaussianEpsilon(mu, delta))
        },
      ),
      { numRuns: 40 },
    )
  })

  it('grows with the trials, and asks nothing where so few show nothing', () => {
    const at = (trials: number) =>
      expectedBound({ mu: 1, delta: 1e-5, alpha: 1e-3, withTrials: trials, withoutTrials: 3 * trials }).floor
    expect(at(10_000)).toBeGreaterThan(at(1000))
    expect(at(1_000_000)).toBeGreaterThan(at(10_000))
    expect(
      expectedBound({ mu: 0.02, delta: 1e-5, alpha: 1e-3, withTrials: 1000, withoutTrials: 3000 }).floor,
    ).toBe(0)
  })
})
