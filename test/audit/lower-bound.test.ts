// Clopper-Pearson ends against scipy, and what the bounds promise.
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Trials } from '../../src/audit/attacks.ts'
import {
  bestTest,
  type Counts,
  contradiction,
  epsilonBound,
  evaluate,
  muBound,
  proportionAtLeast,
  proportionAtMost,
} from '../../src/audit/lower-bound.ts'

const golden: [number, number, number, number, number][] = JSON.parse(
  readFileSync(new URL('../golden/clopper-pearson.json', import.meta.url), 'utf8'),
)

describe('Clopper-Pearson', () => {
  it.each(golden)('%i of %i at alpha %f: scipy, moved outward', (hits, trials, alpha, lower, upper) => {
    const low = proportionAtLeast(hits, trials, alpha)
    const high = proportionAtMost(hits, trials, alpha)
    expect(low).toBeLessThanOrEqual(lower)
    expect(low).toBeGreaterThanOrEqual(lower * (1 - 3e-8))
    expect(high).toBeGreaterThanOrEqual(upper * (1 - 1e-15))
    expect(high).toBeLessThanOrEqual(Math.min(1, upper * (1 + 3e-8)))
  })
})

const counts = fc
  .record({ hitTrials: fc.integer({ min: 1, max: 1e6 }), falseAlarmTrials: fc.integer({ min: 1, max: 1e6 }) })
  .chain((n) =>
    fc.record({
      hitTrials: fc.constant(n.hitTrials),
      falseAlarmTrials: fc.constant(n.falseAlarmTrials),
      hits: fc.integer({ min: 0, max: n.hitTrials }),
      falseAlarms: fc.integer({ min: 0, max: n.falseAlarmTrials }),
    }),
  )

describe('bounds', () => {
  it('lie below what the shares themselves say, and fall with more confidence and more delta', () => {
    fc.assert(
      fc.property(counts, (c: Counts) => {
        const shares = Math.log(c.hits / c.hitTrials / (c.falseAlarms / c.falseAlarmTrials))
        const epsilon = epsilonBound(1e-6)(c, 1e-3)
        expect(epsilon).toBeGreaterThanOrEqual(0)
        if (c.falseAlarms > 0 && epsilon > 0) expect(epsilon).toBeLessThan(shares)
        expect(epsilonBound(1e-6)(c, 1e-6)).toBeLessThanOrEqual(epsilon)
        expect(epsilonBound(1e-2)(c, 1e-3)).toBeLessThanOrEqual(epsilon)
        expect(muBound(c, 1e-6)).toBeLessThanOrEqual(muBound(c, 1e-3))
      }),
    )
  })

  it('show nothing where the worlds look alike', () => {
    const alike = { hits: 500, hitTrials: 1000, falseAlarms: 500, falseAlarmTrials: 1000 }
    expect(epsilonBound(1e-5)(alike, 1e-3)).toBe(0)
    expect(muBound(alike, 1e-3)).toBe(0)
    expect(contradiction(alike, 1e-3, 1)).toBeUndefined()
  })

  it('name a delta at which a broken curve breaks', () => {
    // mu = 2 at its centre, where mu = 1 is claimed: 84 % against 16 %.
    const broken = contradiction(
      { hits: 84_134, hitTrials: 100_000, falseAlarms: 15_866, falseAlarmTrials: 100_000 },
      1e-3,
      1,
    )
    expect(broken?.epsilon).toBeGreaterThan((broken?.claim ?? 0) + 0.3)
  })

  it('a test counts ties on the side of its tail', () => {
    const trials: Trials = { with: Float64Array.of(1, 2, 2, 3), without: Float64Array.of(0, 2, 2, 2) }
    const up = evaluate(trials, { attack: 'votes', tail: 'up', threshold: 2 }, muBound, 0.1)
    expect([up.hits, up.falseAlarms]).toEqual([3, 3])
    const down = evaluate(trials, { attack: 'votes', tail: 'down', threshold: 1 }, muBound, 0.1)
    expect([down.hits, down.falseAlarms]).toEqual([1, 1])
  })

  it('the attack that sees most is chosen, and the plain one where they see alike', () => {
    const far = { with: new Float64Array(500).fill(9), without: new Float64Array(500) }
    const near = {
      with: Float64Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? 0 : 1)),
      without: Float64Array.from({ length: 500 }, (_, i) => (i % 3 === 0 ? 1 : 0)),
    }
    const chosen = (first: Trials, second: Trials) =>
      bestTest(
        new Map([
          ['votes', first],
          ['releases', second],
        ]),
        epsilonBound(1e-5),
        1e-3,
      )
    expect(chosen(near, far)).toMatchObject({ attack: 'releases' })
    expect(chosen(near, near)).toMatchObject({ attack: 'votes', tail: 'up', threshold: 1 })
  })
})
