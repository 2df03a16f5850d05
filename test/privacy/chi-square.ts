// A chi-square test of integer samples against a distribution on the integers, with a stated false-alarm rate.
import { normalCdf } from '../../src/privacy/special.ts'

/** Standard normal quantile of 1 - 1e-6: each test fails by chance once in a million runs. */
const Z_ALPHA = 4.753424

export interface ChiSquare {
  readonly statistic: number
  /** Critical value at alpha = 1e-6 (Wilson and Hilferty). */
  readonly critical: number
  readonly degrees: number
}

/** P(X <= k). */
export type Cdf = (k: number) => number

/** round(sigma Z). */
export const roundedNormal =
  (sigma: number): Cdf =>
  (k) =>
    normalCdf((k + 0.5) / sigma)

/** Two-sided geometric: P(x) proportional to exp(-|x| / scale). */
export function discreteLaplaceCdf(scale: number): Cdf {
  const p = Math.exp(-1 / scale)
  return (k) => (k < 0 ? p ** -k / (1 + p) : 1 - p ** (k + 1) / (1 + p))
}

/** P(x) proportional to exp(-x^2 / 2 sigma^2), summed out to 12 sigma. */
export function discreteGaussianCdf(sigma: number): Cdf {
  const reach = Math.ceil(12 * sigma) + 12
  const sums = new Float64Array(2 * reach + 1)
  let total = 0
  for (let x = -reach; x <= reach; x++) {
    total += Math.exp(-(x * x) / (2 * sigma * sigma))
    sums[x + reach] = total
  }
  return (k) => (k < -reach ? 0 : k > reach ? 1 : (sums[k + reach] as number) / total)
}

/** Bins of at least `mass` each. */
export function chiSquare(samples: Iterable<number>, cdf: Cdf, reach: number, mass: number): ChiSquare {
  // Each bin ends with the integer in `ends`; the last one has no end.
  const ends: number[] = []
  const upTo: number[] = []
  for (let k = -reach; k < reach; k++) {
    const below = cdf(k)
    if (below - (upTo.at(-1) ?? 0) >= mass && 1 - below >= mass) {
      ends.push(k)
      upTo.push(below)
    }
  }
  upTo.push(1)
  const counts = new Array<number>(upTo.length).fill(0)
  let total = 0
  for (const sample of samples) {
    let low = 0
    let high = ends.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (sample <= (ends[middle] as number)) high = middle
      else low = middle + 1
    }
    counts[low] = (counts[low] as number) + 1
    total++
  }
  let statistic = 0
  counts.forEach((count, i) => {
    const expected = total * ((upTo[i] as number) - (upTo[i - 1] ?? 0))
    statistic += (count - expected) ** 2 / expected
  })
  const degrees = counts.length - 1
  const spread = 2 / (9 * degrees)
  return { statistic, degrees, critical: degrees * (1 - spread + Z_ALPHA * Math.sqrt(spread)) ** 3 }
}

/** Against round(sigma Z). */
export function chiSquareRoundedNormal(samples: Iterable<number>, sigma: number, mass: number): ChiSquare {
  return chiSquare(samples, roundedNormal(sigma), Math.ceil(8 * sigma) + 2, mass)
}
