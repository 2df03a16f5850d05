// Exact coins with rational and exponential odds, from integers only: Canonne, Kamath and Steinke, "The Discrete Gaussian
// for Differential Privacy" (NeurIPS 2020, arXiv 2004.00010), Algorithm 1. No probability is ever rounded.
//
// Why this is private: it keeps the samplers above it exact. A coin of odds rounded by 2^-53 is an error of the same size in
// delta for every coin tossed, and one that a proof would have to carry.
import { type PrivateRandom, uniformBelowBig } from './private-random.ts'

/** All the chance that the samplers use: so little that a test can walk every branch they have. */
export interface Coins {
  /** A uniform integer in [0, bound). */
  below(bound: bigint): bigint
  /** True with probability numerator / denominator, which lies in [0, 1]. */
  bernoulli(numerator: bigint, denominator: bigint): boolean
}

export function coinsOf(random: PrivateRandom): Coins {
  return {
    below: (bound) => uniformBelowBig(random, bound),
    bernoulli: (numerator, denominator) => uniformBelowBig(random, denominator) < numerator,
  }
}

/** True with probability exp(-numerator / denominator), for any quotient >= 0. */
export function bernoulliExp(coins: Coins, numerator: bigint, denominator: bigint): boolean {
  for (let whole = numerator / denominator; whole > 0n; whole--) {
    if (!bernoulliExpFraction(coins, 1n, 1n)) return false
  }
  return bernoulliExpFraction(coins, numerator % denominator, denominator)
}

/** The same for a quotient g in [0, 1]: 1 - g + g^2/2! - ..., the odds that a run of coins g, g/2, g/3 ... has even length. */
function bernoulliExpFraction(coins: Coins, numerator: bigint, denominator: bigint): boolean {
  let k = 1n
  while (coins.bernoulli(numerator, denominator * k)) k++
  return k % 2n === 1n
}
