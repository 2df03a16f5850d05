// The exact discrete Laplace and Gaussian samplers: every branch walked at small scales, chi-square at larger ones.
import { describe, expect, it } from 'vitest'
import { bernoulliExp, type Coins } from '../../src/privacy/bernoulli.ts'
import { discreteGaussian, tryGaussian } from '../../src/privacy/discrete-gaussian.ts'
import { discreteLaplace, tryLaplace } from '../../src/privacy/discrete-laplace.ts'
import { type PrivateRandom, systemRandom, uniformBelowBig } from '../../src/privacy/private-random.ts'
import { type Rational, rationalAtLeast } from '../../src/privacy/rounded-gaussian.ts'
import { type Cdf, chiSquare, discreteGaussianCdf, discreteLaplaceCdf } from './chi-square.ts'
import { walk } from './coin-tree.ts'

const N = 2_000_000
const rational = (numerator: bigint, denominator = 1n): Rational => ({ numerator, denominator })
const numberOf = ({ numerator, denominator }: Rational) => Number(numerator) / Number(denominator)
type Sampler = (scale: Rational, random: PrivateRandom) => bigint

function* draws(sampler: Sampler, scale: Rational, count: number): Generator<number> {
  const random = systemRandom()
  for (let i = 0; i < count; i++) yield Number(sampler(scale, random))
}

describe.each<[string, Sampler, (scale: number) => Cdf, number]>([
  ['Laplace', discreteLaplace, discreteLaplaceCdf, 20],
  ['Gaussian', discreteGaussian, discreteGaussianCdf, 8],
])('exact discrete %s', (_, sampler, cdfOf, reach) => {
  // alpha = 1e-6 for each scale; below, at and above 1, since an error in scaling shows at one of them only.
  it.each([0.5, 2.31, 11.3, 1000])('has its distribution at scale %f (2 million draws)', (value) => {
    const scale = rationalAtLeast(value)
    const exact = numberOf(scale)
    const samples = draws(sampler, scale, N)
    const test = chiSquare(samples, cdfOf(exact), Math.ceil(reach * exact) + 3, value > 100 ? 1e-3 : 1e-4)
    expect(test.degrees).toBeGreaterThanOrEqual(4)
    expect(test.statistic).toBeLessThan(test.critical)
  })

  it('the test would see 5% less noise (200,000 draws)', () => {
    const samples = draws(sampler, rationalAtLeast(11.3 * 0.95), 200_000)
    const test = chiSquare(samples, cdfOf(11.3), Math.ceil(reach * 11.3), 1e-3)
    expect(test.statistic).toBeGreaterThan(test.critical)
  })

  it('refuses a scale that is not positive', () => {
    expect(() => sampler(rational(0n), systemRandom())).toThrow('expected a positive rational')
    expect(() => sampler(rational(1n, -1n), systemRandom())).toThrow('expected a positive rational')
  })
})

describe('every branch', () => {
  const cases: [string, (coins: Coins) => bigint | undefined, Cdf, Cdf][] = [
    [
      'Laplace, 1/2',
      (c) => tryLaplace(rational(1n, 2n), c),
      discreteLaplaceCdf(0.5),
      discreteLaplaceCdf(0.52),
    ],
    ['Laplace, 1', (c) => tryLaplace(rational(1n), c), discreteLaplaceCdf(1), discreteLaplaceCdf(1.04)],
    [
      'Laplace, 3/2',
      (c) => tryLaplace(rational(3n, 2n), c),
      discreteLaplaceCdf(1.5),
      discreteLaplaceCdf(1.56),
    ],
    [
      'Gaussian, 3/10',
      (c) => tryGaussian(rational(3n, 10n), c),
      discreteGaussianCdf(0.3),
      discreteGaussianCdf(0.36),
    ],
    [
      'Gaussian, 1/2',
      (c) => tryGaussian(rational(1n, 2n), c),
      discreteGaussianCdf(0.5),
      discreteGaussianCdf(0.52),
    ],
    ['Gaussian, 1', (c) => tryGaussian(rational(1n), c), discreteGaussianCdf(1), discreteGaussianCdf(1.04)],
  ]

  it.each(cases)('of %s gives each output its own probability', (_, sampler, cdf, other) => {
    const { mass, rest } = walk(sampler, 1e-6)
    expect(rest).toBeLessThan(5e-3)
    // What ended, less the rejected tries, which begin again; the rest may belong to any output or to none.
    const accepted = 1 - rest - (mass.get(undefined) ?? 0)
    const within = (of: Cdf) =>
      [-3, -2, -1, 0, 1, 2, 3].every((k) => {
        const probability = of(k) - of(k - 1)
        const walked = mass.get(BigInt(k)) ?? 0
        return (
          probability >= walked / (accepted + rest) - 1e-9 &&
          probability <= (walked + rest) / (accepted + rest) + 1e-9
        )
      })
    expect(within(cdf)).toBe(true)
    // The interval is narrow enough to tell a scale that is 4% off (20% at 3/10, where nearly all mass is on 0).
    expect(within(other)).toBe(false)
    // Both signs weigh the same, and zero has one sign.
    for (const k of [1n, 2n]) expect(mass.get(k) ?? 0).toBeCloseTo(mass.get(-k) ?? 0, 9)
  })

  it.each([
    [0n, 1n],
    [1n, 3n],
    [1n, 1n],
    [7n, 3n],
  ])('of exp(-%i/%i) too', (numerator, denominator) => {
    const { mass, rest } = walk((c) => (bernoulliExp(c, numerator, denominator) ? 1n : 0n), 1e-14)
    expect(rest).toBeLessThan(1e-10)
    expect(mass.get(1n)).toBeCloseTo(Math.exp(-Number(numerator) / Number(denominator)), 9)
  })
})

describe('variance and P(0) of the discrete Gaussian', () => {
  // Values of the exact sum (sigma, variance, P(0)); the sample variance must lie within 5 standard errors.
  it.each([
    [3n, 0.00767252, 0.99232748],
    [5n, 0.21501268, 0.78657071],
    [7n, 0.48880563, 0.56984573],
    [10n, 0.99999979, 0.39894228],
  ])('sigma %i/10', (tenths, variance, atZero) => {
    const cdf = discreteGaussianCdf(Number(tenths) / 10)
    expect(cdf(0) - cdf(-1)).toBeCloseTo(atZero, 8)
    const samples = Array.from(draws(discreteGaussian, rational(tenths, 10n), 200_000))
    const squares = samples.map((x) => x * x)
    const mean = squares.reduce((a, b) => a + b) / squares.length
    const spread = squares.reduce((a, b) => a + (b - mean) ** 2, 0) / squares.length
    expect(Math.abs(mean - variance)).toBeLessThan(5 * Math.sqrt(spread / squares.length))
  })
})

describe('uniform integers of any size', () => {
  it('are unbiased: what lies in the last, incomplete stretch of the words is drawn again', () => {
    const bound = 3n * 2n ** 62n + 1n
    const last = [2 ** 32 - 1, 2 ** 32 - 1, 0, 9]
    expect(uniformBelowBig({ word: () => last.shift() as number }, bound)).toBe(9n)
    expect(last).toEqual([])
    // Two words are one number, the first on top.
    const words = [1, 2]
    expect(uniformBelowBig({ word: () => words.shift() as number }, 2n ** 64n)).toBe(2n ** 32n + 2n)
    expect(() => uniformBelowBig(systemRandom(), 0n)).toThrow('expected a positive bound, got 0')
  })

  it('reach every value below a small bound alike', () => {
    const counts = new Array<number>(6).fill(0)
    // The last 4 of 2^32 words are the stretch that 6 does not fill.
    for (let w = 2 ** 32 - 10; w < 2 ** 32; w++) {
      const words = [w, 5]
      const value = Number(uniformBelowBig({ word: () => words.shift() as number }, 6n))
      if (words.length === 1) counts[value] = (counts[value] as number) + 1
    }
    expect(counts).toEqual([1, 1, 1, 1, 1, 1])
  })
})
