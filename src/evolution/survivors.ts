// Who survives a round: PrE-Text Algorithm 1, threshold and resampling. Everything here is post-processing of the noisy
// histogram, so none of it costs privacy.
import type { Random } from '../random.ts'

export interface SurvivorOptions {
  /** Votes must exceed `sigma` standard deviations of the noise, and be among the best `topShare` of the candidates; each where given. */
  readonly threshold: { readonly sigma?: number | undefined; readonly topShare?: number | undefined }
  /** Parents of variations are drawn in proportion to votes above the threshold, or taken by rank. */
  readonly by: 'resample' | 'rank'
  /** Share of the next population that is kept from the survivors as they are, most votes first. */
  readonly keepParents: number
}

export interface Selection {
  /** Indices of the survivors, most votes first. */
  readonly survivors: readonly number[]
  /** Votes above the threshold of each survivor; all positive. */
  readonly weights: readonly number[]
  /** Threshold in votes; null where only a top share was asked for, or nothing passed. */
  readonly threshold: number | null
  /** True if nothing passed the threshold and the top share stood in. */
  readonly fellBack: boolean
}

/** Stands in where no candidate passes the threshold: upstream divides by zero there. */
const FALLBACK_SHARE = 0.1

export function selectSurvivors(
  votes: ArrayLike<number>,
  sigma: number,
  options: SurvivorOptions,
): Selection {
  const ranked = Array.from({ length: votes.length }, (_, i) => i).sort(
    (a, b) => (votes[b] as number) - (votes[a] as number) || a - b,
  )
  const { sigma: deviations, topShare } = options.threshold
  const best = (share: number) => ranked.slice(0, Math.max(1, Math.ceil(share * votes.length)))
  if (deviations !== undefined) {
    const height = deviations * sigma
    const survivors = best(topShare ?? 1).filter((i) => (votes[i] as number) > height)
    const weights = survivors.map((i) => (votes[i] as number) - height)
    if (survivors.length > 0) return { survivors, weights, threshold: height, fellBack: false }
  }
  const survivors = best(topShare ?? FALLBACK_SHARE)
  // Votes of the top share may be negative; measured from the worst one in it where they are, they are not.
  const floor = Math.min(0, votes[survivors.at(-1) as number] as number)
  const weights = survivors.map((i) => (votes[i] as number) - floor)
  const total = weights.reduce((a, b) => a + b, 0)
  return {
    survivors,
    weights: total > 0 ? weights.map((w) => Math.max(w, total * 1e-9)) : survivors.map(() => 1),
    threshold: null,
    fellBack: deviations !== undefined,
  }
}

/** The survivors that stay in the next population of `size`, and a parent for each of its other places. */
export function chooseParents(
  selection: Selection,
  size: number,
  options: SurvivorOptions,
  random: Random,
): { readonly kept: readonly number[]; readonly parents: readonly number[] } {
  const { survivors, weights } = selection
  const kept = survivors.slice(0, Math.floor(options.keepParents * size))
  const places = size - kept.length
  if (options.by === 'rank') {
    return {
      kept,
      parents: Array.from({ length: places }, (_, i) => survivors[i % survivors.length] as number),
    }
  }
  const cumulative: number[] = []
  let total = 0
  for (const weight of weights) {
    total += weight
    cumulative.push(total)
  }
  const draw = (): number => {
    const at = random.next() * total
    let low = 0
    let high = cumulative.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((cumulative[middle] as number) > at) high = middle
      else low = middle + 1
    }
    return survivors[low] as number
  }
  return { kept, parents: Array.from({ length: places }, draw) }
}
