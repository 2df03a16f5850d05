// Exact discrete Gaussian: P(x) proportional to exp(-x^2 / (2 sigma^2)) over the integers, for a rational sigma, with
// integers only. Canonne, Kamath and Steinke (NeurIPS 2020, arXiv 2004.00010), Algorithm 3.
//
// Why this is private: on integer sums of L2 sensitivity D it is D^2 / (2 sigma^2)-zCDP, as the continuous Gaussian is, in
// any dimension (their Theorem 4; divergences of independent coordinates add). Its exact (epsilon, delta) curve is known in
// one dimension only (Theorem 7): for vectors account for it by zCDP. A sum of n draws is not a discrete Gaussian; where
// several parties add one each, every one needs sigma >= 3 for the difference to be below 1e-37 (Kairouz, Liu and Steinke,
// ICML 2021).
import { bernoulliExp, type Coins, coinsOf } from './bernoulli.ts'
import { tryLaplace } from './discrete-laplace.ts'
import type { PrivateRandom } from './private-random.ts'
import type { Rational } from './rounded-gaussian.ts'

/** One draw. Time depends on the value drawn: draw before, and apart from, what it is added to. */
export function discreteGaussian(sigma: Rational, random: PrivateRandom): bigint {
  const coins = coinsOf(random)
  for (;;) {
    const drawn = tryGaussian(sigma, coins)
    if (drawn !== undefined) return drawn
  }
}

/** One try of the rejection sampler: undefined where it is rejected. Given that it is not, it has the distribution. */
export function tryGaussian({ numerator: n, denominator: d }: Rational, coins: Coins): bigint | undefined {
  if (n <= 0n || d <= 0n) throw new RangeError('expected a positive rational sigma')
  const t = n / d + 1n
  const y = tryLaplace({ numerator: t, denominator: 1n }, coins)
  if (y === undefined) return undefined
  // Keep y with probability exp(-(|y| - sigma^2 / t)^2 / (2 sigma^2)), all over the common denominator.
  const distance = (y < 0n ? -y : y) * t * d * d - n * n
  return bernoulliExp(coins, distance * distance, 2n * n * n * d * d * t * t) ? y : undefined
}
