// A chi-square test of integer samples against the rounded normal distribution, with a stated false-alarm rate.
import { normalCdf } from '../../src/privacy/special.ts'

/** Standard normal quantile of 1 - 1e-6: each test fails by chance once in a million runs. */
const Z_ALPHA = 4.753424

export interface ChiSquare {
  readonly statistic: number
  /** Critical value at alpha = 1e-6 (Wilson and Hilferty). */
  readonly critical: number
  readonly degrees: number
}

/** Bins of at least `mass` each, their edges halfway between integers. */
export function chiSquareRoundedNormal(samples: Iterable<number>, sigma: number, mass: number): ChiSquare {
  const edges: number[] = []
  let reached = 0
  for (let i = -Math.ceil(8 * sigma) - 2; i < 8 * sigma + 2; i++) {
    const below = normalCdf((i + 0.5) / sigma)
    if (below - reached >= mass && 1 - below >= mass) {
      edges.push(i + 0.5)
      reached = below
    }
  }
  const counts = new Array<number>(edges.length + 1).fill(0)
  let total = 0
  for (const sample of samples) {
    let low = 0
    let high = edges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (sample < (edges[middle] as number)) high = middle
      else low = middle + 1
    }
    counts[low] = (counts[low] as number) + 1
    total++
  }
  let statistic = 0
  counts.forEach((count, i) => {
    const upper = i === edges.length ? 1 : normalCdf((edges[i] as number) / sigma)
    const lower = i === 0 ? 0 : normalCdf((edges[i - 1] as number) / sigma)
    const expected = total * (upper - lower)
    statistic += (count - expected) ** 2 / expected
  })
  const degrees = counts.length - 1
  const spread = 2 / (9 * degrees)
  return { statistic, degrees, critical: degrees * (1 - spread + Z_ALPHA * Math.sqrt(spread)) ** 3 }
}
