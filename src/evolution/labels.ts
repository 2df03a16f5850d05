// Label-conditional runs: which labels there are (public), what share of the population each gets, and who stands where.
import type { Population } from './population.ts'

export interface Labels {
  /** The public list of labels; one unnamed label where the run has none. */
  readonly names: readonly (string | undefined)[]
  /** Share of each: given as public, uniform, or measured under DP and paid for. */
  readonly shares: readonly number[]
}

export const UNLABELLED: Labels = { names: [undefined], shares: [1] }

/** Positions in the population of the candidates of each label. */
export function positionsByLabel(population: Population, labels: Labels): number[][] {
  const positions = labels.names.map((): number[] => [])
  const index = new Map(labels.names.map((name, i) => [name, i]))
  population.forEach((candidate, i) => {
    const label = index.get(candidate.label)
    if (label === undefined) throw new Error('a candidate has a label that is not in the public list')
    positions[label]?.push(i)
  })
  return positions
}

/** Shares from noisy label votes: negative ones count as none; all negative means uniform. Post-processing. */
export function sharesFromVotes(votes: ArrayLike<number>): number[] {
  const positive = Array.from(votes, (v) => Math.max(v, 0))
  const sum = positive.reduce((a, b) => a + b, 0)
  return positive.map((v) => (sum > 0 ? v / sum : 1 / positive.length))
}
