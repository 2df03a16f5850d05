// Half of the noise from each of two parties has the law that its claim is made for.
import { describe, expect, it } from 'vitest'
import { epsilonOf } from '../../src/privacy/accountant.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'
import { rationalAtLeast, roundedGaussian } from '../../src/privacy/rounded-gaussian.ts'
import { normalCdf } from '../../src/privacy/special.ts'
import { closenessOfHalves, multiplierOfEach, SMALLEST_HALF_SIGMA } from '../../src/privacy/two-parties.ts'

/** P(a < N(0, sigma^2) <= b), for a >= 0 from the other tail, so that far values keep their digits. */
function normalBetween(a: number, b: number, sigma: number): number {
  if (a >= 0) return normalBetween(-b, -a, sigma)
  return normalCdf(b / sigma) - normalCdf(a / sigma)
}

/** P(R1 + R2 = k) for two rounded Gaussians. */
function sumOfTwo(k: number, sigma: number): number {
  const reach = Math.ceil(14 * sigma) + 2
  let p = 0
  for (let j = Math.floor(k / 2) - reach; j <= k / 2 + reach; j++)
    p += normalBetween(j - 0.5, j + 0.5, sigma) * normalBetween(k - j - 0.5, k - j + 0.5, sigma)
  return p
}

/** P(round(Z + U) = k) for Z ~ N(0, 2 sigma^2), U uniform in (-1/2, 1/2): Simpson's rule over U. */
function roundedWithUniform(k: number, sigma: number): number {
  const parts = 400
  let sum = 0
  for (let i = 0; i <= parts; i++) {
    const u = i / parts - 0.5
    const weight = i === 0 || i === parts ? 1 : i % 2 === 1 ? 4 : 2
    sum += weight * normalBetween(k - 0.5 - u, k + 0.5 - u, sigma * Math.SQRT2)
  }
  return sum / (3 * parts)
}

describe('halves of the noise', () => {
  it.each([0.4, 0.5, 0.6, 0.8])(
    'at sigma %d the two laws differ by no more than the bound, and by much of it',
    (sigma) => {
      const bound = closenessOfHalves(sigma)
      let largest = 0
      for (let k = -6; k <= 6; k++)
        largest = Math.max(largest, Math.abs(sumOfTwo(k, sigma) / roundedWithUniform(k, sigma) - 1))
      expect(largest).toBeLessThanOrEqual(bound * (1 + 1e-6) + 1e-9)
      // A bound that were far too wide would hide a wrong one.
      expect(largest).toBeGreaterThan(bound / 10)
    },
  )

  it.each([SMALLEST_HALF_SIGMA, 6.5, 20])('at sigma %d they are equal to the last digits', (sigma) => {
    expect(closenessOfHalves(sigma)).toBeLessThan(6e-39)
    for (const k of [0, 1, 5, 17, -30, Math.round(6 * sigma)])
      expect(sumOfTwo(k, sigma) / roundedWithUniform(k, sigma)).toBeCloseTo(1, 7)
  })

  it('two draws have the variance of the sum: chi-square over 200,000, alpha 1e-6', () => {
    const sigma = rationalAtLeast(3.5)
    const random = systemRandom()
    const draws = 200_000
    const seen = new Map<number, number>()
    for (let i = 0; i < draws; i++) {
      const k = Number(roundedGaussian(sigma, random) + roundedGaussian(sigma, random))
      seen.set(k, (seen.get(k) ?? 0) + 1)
    }
    let statistic = 0
    let cells = 0
    let inner = 0
    for (let k = -15; k <= 15; k++) {
      const expected = roundedWithUniform(k, 3.5) * draws
      const got = seen.get(k) ?? 0
      statistic += (got - expected) ** 2 / expected
      inner += got
      cells++
    }
    const outside = draws - inner
    let inside = 0
    for (let k = -15; k <= 15; k++) inside += roundedWithUniform(k, 3.5)
    statistic += (outside - (1 - inside) * draws) ** 2 / ((1 - inside) * draws)
    // Upper quantile of chi-square with `cells` = 31 degrees of freedom at 1e-6.
    expect(cells).toBe(31)
    expect(statistic).toBeLessThan(83.64)
  })

  it('a party that knows its own half is answered by the other half', () => {
    const T = 11
    const all = (multiplier: number) =>
      epsilonOf(
        Array.from({ length: T }, () => ({ type: 'gaussian' as const, noiseMultiplier: multiplier })),
        3e-6,
      )
    expect(multiplierOfEach(11.3, 'full')).toBe(11.3)
    expect(2 * multiplierOfEach(11.3, 'half') ** 2).toBeGreaterThanOrEqual(11.3 ** 2)
    expect(all(11.3)).toBeCloseTo(1.188956, 6)
    expect(all(multiplierOfEach(11.3, 'half'))).toBeCloseTo(all(11.3 / Math.SQRT2), 9)
    expect(all(multiplierOfEach(11.3, 'half'))).toBeGreaterThan(1.7)
  })
})
