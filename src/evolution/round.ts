// One round of PrE-Text (arXiv 2406.02958, Algorithm 1): look ahead, vote, threshold, vary.
import type { Matrix } from '../embeddings/matrix.ts'
import type { NoisyHistogram } from '../histogram/noise.ts'
import { noisyVotes } from '../histogram/noise.ts'
import type { Random } from '../random.ts'
import { type Labels, positionsByLabel } from './labels.ts'
import { apportion, type Candidate, type Population } from './population.ts'
import { chooseParents, type Selection, type SurvivorOptions, selectSurvivors } from './survivors.ts'

/** What a round needs from outside: an embedding of each candidate, the released votes, and variations. */
export interface RoundSteps {
  /** E(s): the mean embedding of K variations of each candidate, or of the candidate itself. */
  lookahead(population: Population, round: number): Promise<Matrix>
  /** Votes of all clients for the nearest candidates, summed, noised and released. Simulated or real clients alike. */
  votes(population: Population, embeddings: Matrix, round: number): Promise<NoisyHistogram>
  /** One variation for each parent, in order. */
  vary(parents: Population, survivors: Population, round: number): Promise<Population>
}

export interface RoundOptions {
  readonly survivors: SurvivorOptions
  readonly labels: Labels
  /** Size of the next population. */
  readonly nextSize: number
  readonly random: Random
}

export interface RoundResult {
  /** What the clients voted on: an embedding of each candidate, looked ahead. */
  readonly embeddings: Matrix
  readonly histogram: NoisyHistogram
  readonly survivors: Population
  /** Threshold in votes; null where a top share was used, in any label. */
  readonly threshold: number | null
  /** True if nothing passed the threshold in some label. */
  readonly fellBack: boolean
  readonly next: Population
}

export async function round(
  t: number,
  population: Population,
  steps: RoundSteps,
  options: RoundOptions,
): Promise<RoundResult> {
  const embeddings = await steps.lookahead(population, t)
  const histogram = await steps.votes(population, embeddings, t)
  const chosen = select(population, noisyVotes(histogram), histogram.sigma / histogram.gridSteps, t, options)
  const variations = await steps.vary(chosen.parents, chosen.survivors, t)
  return { ...chosen, embeddings, histogram, next: [...chosen.kept, ...variations] }
}

/** Survivors, kept candidates and parents: within each label, so that its share of the population stays what it is. */
function select(
  population: Population,
  votes: Float64Array,
  sigma: number,
  t: number,
  options: RoundOptions,
) {
  const sizes = apportion(options.labels.shares, options.nextSize, 1)
  const at = (indices: readonly number[], positions: readonly number[]): Candidate[] =>
    indices.map((i) => population[positions[i] as number] as Candidate)
  const groups = positionsByLabel(population, options.labels).flatMap((positions, label) => {
    if (positions.length === 0) return []
    const own = positions.map((i) => votes[i] as number)
    const selection: Selection = selectSurvivors(own, sigma, options.survivors)
    const random = options.random.fork('parents', t, label)
    const chosen = chooseParents(selection, sizes[label] as number, options.survivors, random)
    const survivors = at(selection.survivors, positions)
    const kept = at(chosen.kept, positions)
    return [{ selection, survivors, kept, parents: at(chosen.parents, positions) }]
  })
  const thresholds = groups.map((group) => group.selection.threshold)
  return {
    survivors: groups.flatMap((group) => group.survivors),
    kept: groups.flatMap((group) => group.kept),
    parents: groups.flatMap((group) => group.parents),
    threshold: thresholds.includes(null) ? null : (thresholds[0] ?? null),
    fellBack: groups.some((group) => group.selection.fellBack),
  }
}
