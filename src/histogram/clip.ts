// Clipping one client's vote counts to the L2 bound, in integers and toward zero, so that no rounding can exceed it.
//
// Why this is private: the clipped vote is a function of one client's counts alone, and its squared norm is at most the bound
// in exact arithmetic: floor(v b / |v|) <= v b / |v|, whose squares sum to b^2. Rounding after clipping in floating point
// can exceed the bound it was meant to keep (Casacuberta et al., "Widespread Underestimation of Sensitivity in
// Differentially Private Libraries", CCS 2022): so there is none here.
import type { VoteBound, VoteOptions } from './bound.ts'

/** One client's answer: which candidates, and how many grid steps for each. Non-negative, indices ascending. */
export interface Vote {
  readonly indices: readonly number[]
  readonly steps: readonly bigint[]
}

/** Largest r with r * r <= n. */
export function integerSqrt(n: bigint): bigint {
  if (n < 2n) return n
  let r = BigInt(Math.floor(Math.sqrt(Number(n))))
  while (r * r > n) r--
  while ((r + 1n) * (r + 1n) <= n) r++
  return r
}

/** Sum of squares of a vote, in grid steps. */
export function squaredNorm(vote: Vote): bigint {
  return vote.steps.reduce((sum, value) => sum + value * value, 0n)
}

/**
 * The vote of a client that gave `counts` votes to each candidate. `normalised` scales up and down to the bound, `counts`
 * only down, `multihot` keeps one vote for each of the candidates with most votes (first index on a tie).
 */
export function clip(counts: ReadonlyMap<number, number>, options: VoteOptions, bound: VoteBound): Vote {
  const entries = [...counts].filter(([, count]) => count > 0).sort(([a], [b]) => a - b)
  if (options.mode === 'multihot') {
    const kept = [...entries].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, Number(bound.squared))
    const indices = kept.map(([index]) => index).sort((a, b) => a - b)
    return { indices, steps: indices.map(() => 1n) }
  }
  const indices = entries.map(([index]) => index)
  const steps = entries.map(([, count]) => BigInt(count) * BigInt(bound.steps))
  const norm = steps.reduce((sum, value) => sum + value * value, 0n)
  if (norm === 0n || (options.mode === 'counts' && norm <= bound.squared)) return { indices, steps }
  // floor(v * bound / |v|), computed as one integer square root of v^2 * bound^2 / |v|^2.
  return { indices, steps: steps.map((value) => integerSqrt((value * value * bound.squared) / norm)) }
}
