// Exact discrete Laplace: P(x) proportional to exp(-|x| / scale) over the integers, for a rational scale, with integers
// only. Canonne, Kamath and Steinke (NeurIPS 2020, arXiv 2004.00010), Algorithm 2.
//
// Why this is private: for an integer query of L1 sensitivity D, moving the centre by D changes each probability by a
// factor of at most exp(D / scale), so scale = D / epsilon is (epsilon, 0)-DP (Ghosh, Roughgarden and Sundararajan, STOC
// 2009). Every integer is possible from every input, so no output betrays the input.
import { bernoulliExp, type Coins, coinsOf } from './bernoulli.ts'
import type { PrivateRandom } from './private-random.ts'
import type { Rational } from './rounded-gaussian.ts'

/** One draw. Time depends on the value drawn: draw before, and apart from, what it is added to. */
export function discreteLaplace(scale: Rational, random: PrivateRandom): bigint {
  const coins = coinsOf(random)
  for (;;) {
    const drawn = tryLaplace(scale, coins)
    if (drawn !== undefined) return drawn
  }
}

/** One try of the rejection sampler: undefined where it is rejected. Given that it is not, it has the distribution. */
export function tryLaplace({ numerator: t, denominator: s }: Rational, coins: Coins): bigint | undefined {
  if (t <= 0n || s <= 0n) throw new RangeError('expected a positive rational scale')
  // x = u + t v is geometric with ratio exp(-1/t): u its remainder, v its whole multiples of t.
  const u = coins.below(t)
  if (!bernoulliExp(coins, u, t)) return undefined
  let v = 0n
  while (bernoulliExp(coins, 1n, 1n)) v++
  const magnitude = (u + t * v) / s
  if (!coins.bernoulli(1n, 2n)) return magnitude
  // Zero has one sign, not two.
  return magnitude === 0n ? undefined : -magnitude
}
