// Renyi divergence of the Poisson-sampled Gaussian. Mironov, Talwar and Zhang, "Renyi Differential Privacy of the Sampled
// Gaussian Mechanism" (2019): by Theorem 4 the worst pair of neighbours, in any dimension, is N(0, s^2) against
// (1 - q) N(0, s^2) + q N(1, s^2), and by Theorem 5 the direction "remove" (the mixture first) is the larger one.
//
// Integer orders in that direction have the closed form of section 3.3, summed in log space. All others are integrated:
// with l(x) the log-likelihood ratio of the mixture and c = order ("remove") or 1 - order ("add"), the moment minus one is
// E_N(0,s^2)[e^(c l) - 1 - c (e^l - 1)], since E[e^l] = 1. The integrand is nowhere negative, so nothing cancels, and it is
// analytic in a strip around the real line, where the trapezoidal rule converges geometrically (Trefethen and Weideman,
// SIAM Review 2014, Theorem 5.1): the step below leaves an error under 1e-13 of the moment, which MARGIN covers.

export type Direction = 'remove' | 'add'

/** Orders up to this one are summed where they are integers. */
const LARGEST_SUM = 1024
/** An integral over more points than this is not worth its order: the divergence is reported as unknown. */
const MOST_POINTS = 100_000
/** Relative rounding of a moment, upwards. */
const MARGIN = 1 + 1e-12

/**
 * Renyi divergence in nats of one release at `order` > 1, client sampled with probability `rate` in (0, 1), noise
 * `sigma` times the L2 sensitivity (add-remove). Infinity where it would be too long to compute.
 */
export function sampledGaussianDivergence(
  rate: number,
  sigma: number,
  order: number,
  direction: Direction = 'remove',
): number {
  const closed = direction === 'remove' && Number.isInteger(order) && order <= LARGEST_SUM
  const logMoment = closed ? summed(rate, sigma, order) : integrated(rate, sigma, order, direction)
  return (logMoment * MARGIN) / (order - 1)
}

/** log of sum_j C(order, j) (1-q)^(order-j) q^j e^(j(j-1)/2s^2), as 1 + terms from j = 2 on: the weights sum to 1. */
function summed(rate: number, sigma: number, order: number): number {
  const logs: number[] = []
  let logWeight = order * Math.log1p(-rate)
  const odds = Math.log(rate) - Math.log1p(-rate)
  for (let j = 1; j <= order; j++) {
    logWeight += Math.log((order - j + 1) / j) + odds
    if (j > 1) logs.push(logWeight + logExpm1((j * (j - 1)) / (2 * sigma * sigma)))
  }
  return log1pExp(logSumExp(logs))
}

function integrated(rate: number, sigma: number, order: number, direction: Direction): number {
  const c = direction === 'remove' ? order : 1 - order
  const step = Math.min(0.25 * sigma, 0.4 * sigma * sigma)
  const from = Math.min(0, c) - 13 * sigma
  const to = Math.max(1, c) + 13 * sigma
  const points = Math.ceil((to - from) / step)
  if (!(points <= MOST_POINTS)) return Number.POSITIVE_INFINITY
  const logs: number[] = []
  for (let i = 0; i <= points; i++) {
    const x = from + i * step
    const excess = logExcess(c, logRatio(rate, (2 * x - 1) / (2 * sigma * sigma)))
    if (excess > Number.NEGATIVE_INFINITY) logs.push(excess - (x * x) / (2 * sigma * sigma))
  }
  return log1pExp(logSumExp(logs) + Math.log(step / sigma) - 0.5 * Math.log(2 * Math.PI))
}

/** log(1 - q + q e^z). */
export function logRatio(rate: number, z: number): number {
  if (rate === 1) return z
  return z > 30
    ? Math.log(rate) + z + Math.log1p(((1 - rate) / rate) * Math.exp(-z))
    : Math.log1p(rate * Math.expm1(z))
}

/** log(e^(c l) - 1 - c (e^l - 1)), for c outside [0, 1]; the difference is nowhere negative. */
function logExcess(c: number, l: number): number {
  const cl = c * l
  if (Math.abs(cl) < 0.5 && Math.abs(l) < 0.5) {
    let sum = 0
    let power = cl
    let plain = cl
    for (let n = 2; n < 40; n++) {
      power *= cl / n
      plain *= l / n
      const term = power - plain
      sum += term
      // Single terms may be 0 (c = -1 has no odd ones).
      if (Math.abs(power) + Math.abs(plain) < 1e-17 * sum) break
    }
    return sum > 0 ? Math.log(sum) : Number.NEGATIVE_INFINITY
  }
  // Far out, one term is all that is left; e^l itself would overflow.
  if (l > 700) return c > 0 ? cl : Math.log(-c) + l
  if (cl > 40) return cl + Math.log1p(-(1 + c * Math.expm1(l)) * Math.exp(-cl))
  const excess = Math.expm1(cl) - c * Math.expm1(l)
  return excess > 0 ? Math.log(excess) : Number.NEGATIVE_INFINITY
}

/** log(e^x - 1) for x > 0. */
export function logExpm1(x: number): number {
  return x > 40 ? x + Math.log1p(-Math.exp(-x)) : Math.log(Math.expm1(x))
}

/** log(1 + e^x). */
export function log1pExp(x: number): number {
  return x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x))
}

export function logSumExp(values: readonly number[]): number {
  let top = Number.NEGATIVE_INFINITY
  for (const value of values) if (value > top) top = value
  if (!Number.isFinite(top)) return top
  let sum = 0
  for (const value of values) sum += Math.exp(value - top)
  return top + Math.log(sum)
}
