// Golden values by mpmath at 40 digits, checked against PyPI's dp-accounting 0.6.0 (test/golden/accounting.py), and the
// published figures of PrE-Text's settings.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { composedMu, epsilonOf } from '../../src/privacy/accountant.ts'
import { calibrateNoise } from '../../src/privacy/calibration.ts'
import { gaussianDelta, gaussianEpsilon, gaussianMu } from '../../src/privacy/gaussian.ts'
import { erfcx, normalCdf } from '../../src/privacy/special.ts'
import golden from '../golden/accounting.json' with { type: 'json' }

const releases = (sigma: number, count: number) =>
  Array.from({ length: count }, () => ({ type: 'gaussian' as const, noiseMultiplier: sigma }))

describe('analytic Gaussian', () => {
  it.each(golden.gaussian)('sigma $sigma, $releases releases, delta $delta: $epsilon', (row) => {
    const found = epsilonOf(releases(row.sigma, row.releases), row.delta)
    expect(Math.abs(found / row.epsilon - 1)).toBeLessThan(1e-9)
    expect(found).toBeGreaterThanOrEqual(row.epsilon)
  })

  it.each([
    [11.3, 11, 3e-6, 1.188956],
    [2.31, 11, 3e-6, 7.080123],
    [19.3, 11, 3e-6, 0.66522],
    [1, 1, 1e-5, 4.377178],
    [1, 1, 1e-6, 4.886554],
    [2, 1, 1e-6, 2.254085],
    [4, 1, 1e-6, 1.060702],
    [5, 10, 1e-6, 2.921601],
    [10, 10, 1e-6, 1.367571],
    [10, 20, 1e-6, 1.994527],
    [20, 20, 1e-9, 1.241174],
    [0.5, 1, 1e-5, 9.997256],
    [50, 100, 1e-8, 1.021171],
    [11.3 / Math.SQRT2, 11, 3e-6, 1.737271],
    [2.31 / Math.SQRT2, 11, 3e-6, 10.728922],
    [11.3, 1, 3e-6, 0.325158],
    [2.31, 50, 3e-6, 17.929438],
  ])('sigma %f, %i releases, delta %f: epsilon %f', (sigma, count, delta, epsilon) => {
    expect(Math.abs(epsilonOf(releases(sigma, count), delta) - epsilon)).toBeLessThan(1e-6)
  })

  it.each([
    [0.5, 25.141499695],
    [1, 13.248368339],
    [1.29, 10.485695549],
    [2, 7.031460284],
    [4, 3.784339253],
    [7.58, 2.1805094],
    [8, 2.083755789],
    [10, 1.730631988],
  ])('calibrates epsilon %f over 11 releases at 3e-6 to sigma %f', (epsilon, sigma) => {
    const found = calibrateNoise(epsilon, 3e-6, 11)
    expect(Math.abs(found / sigma - 1)).toBeLessThan(1e-8)
    expect(epsilonOf(releases(found, 11), 3e-6)).toBeLessThanOrEqual(epsilon)
  })

  it.each([
    [0, 1, 0.38292492255],
    [0.5, 1, 0.23842170813],
    [1, 1, 0.12693673751],
    [2, 1, 0.020923635821],
    [4, 1, 4.7122412008e-5],
    [8, 1, 3.6508216874e-15],
    [1, 0.5, 0.0068295949831],
    [2, 0.5, 9.4391686349e-6],
    [0.5, 0.25, 0.0027088802183],
    [1, 0.25, 2.9242721049e-6],
    [1, 2, 0.50986166005],
    [4, 2, 0.084953318671],
    [8, 4, 0.4055893587],
  ])('delta(epsilon %f) at mu %f is %f', (epsilon, mu, delta) => {
    expect(Math.abs(gaussianDelta(epsilon, mu) / delta - 1)).toBeLessThan(1e-9)
  })

  it('composes different noise: 5 x sigma 4 and 6 x sigma 8, delta 1e-6', () => {
    const events = [...releases(4, 5), ...releases(8, 6)]
    expect(composedMu(events)).toBeCloseTo(0.6373774391990981, 14)
    expect(Math.abs(epsilonOf(events, 1e-6) - 2.9468371752)).toBeLessThan(1e-8)
    expect(epsilonOf([...events].reverse(), 1e-6)).toBeCloseTo(epsilonOf(events, 1e-6), 12)
  })

  it('works from epsilon 1e-3 to 1e3 and down to delta 1e-15, and calibration never goes under', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -3, max: 3, noNaN: true }).map((x) => 10 ** x),
        fc.double({ min: -15, max: -1, noNaN: true }).map((x) => 10 ** x),
        (epsilon, delta) => {
          const back = gaussianEpsilon(gaussianMu(epsilon, delta), delta)
          expect(back).toBeLessThanOrEqual(epsilon * (1 + 1e-12))
          expect(back).toBeGreaterThan(epsilon * (1 - 1e-6))
        },
      ),
      { seed: 1, numRuns: 300 },
    )
  })

  it('grows with the number of releases, and shrinks with noise and delta', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.3, max: 100, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        fc.double({ min: -12, max: -2, noNaN: true }).map((x) => 10 ** x),
        (sigma, count, delta) => {
          const epsilon = epsilonOf(releases(sigma, count), delta)
          expect(epsilonOf(releases(sigma, count + 1), delta)).toBeGreaterThanOrEqual(epsilon)
          expect(epsilonOf(releases(sigma * 1.1, count), delta)).toBeLessThanOrEqual(epsilon)
          expect(epsilonOf(releases(sigma, count), delta * 1.5)).toBeLessThanOrEqual(epsilon)
        },
      ),
      { seed: 2, numRuns: 200 },
    )
  })

  it('refuses what is not a guarantee', () => {
    expect(() => calibrateNoise(0, 1e-5, 3)).toThrow('epsilon must be greater than 0, got 0')
    expect(() => calibrateNoise(1, 1, 3)).toThrow('delta must lie strictly between 0 and 1, got 1')
    expect(() => calibrateNoise(1, 1e-5, 0)).toThrow(
      'the number of releases must be a positive integer, got 0',
    )
    expect(() => epsilonOf([{ type: 'gaussian', noiseMultiplier: 0 }], 1e-5)).toThrow(
      'noiseMultiplier must be greater than 0, got 0',
    )
    expect(epsilonOf([{ type: 'exact' }], 1e-5)).toBe(Number.POSITIVE_INFINITY)
    expect(epsilonOf([], 1e-5)).toBe(0)
  })
})

describe('special functions', () => {
  it.each(golden.special)('erfcx($x) = $erfcx', ({ x, erfcx: value }) => {
    expect(Math.abs(erfcx(x) / value - 1)).toBeLessThan(1e-13)
  })

  it('has full relative precision in the lower tail', () => {
    expect(Math.abs(normalCdf(-10) / 7.619853024160525e-24 - 1)).toBeLessThan(1e-12)
    expect(Math.abs(normalCdf(-37) / 5.725571222524577e-300 - 1)).toBeLessThan(1e-11)
    expect(normalCdf(0)).toBeCloseTo(0.5, 15)
  })
})
