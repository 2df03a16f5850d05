// Everything that a report says of a run: the JSON twin of report.html, and what the dataset card is made from. All of
// it is public, synthetic, consented or released with noise.
import type { EmbedderIdentity } from '../embeddings/embedder.ts'

export interface Interval {
  readonly mean: number
  /** 95% bootstrap over clients. */
  readonly low: number
  readonly high: number
}

/** Diversity of a set of synthetic texts. */
export interface Diversity {
  /** Different n-grams divided by all n-grams, n = 1 and 2. */
  readonly distinct1: number
  readonly distinct2: number
  /** Share of texts that begin with the most common two-word opening, and that opening. */
  readonly equalOpenings: number
  readonly commonOpening: string
}

export interface LengthBin {
  /** Both ends are included: 0 to 4, 5 to 9. */
  readonly fromWords: number
  readonly toWords: number
  readonly texts: number
}

export interface RoundReport {
  readonly round: number
  /** Cumulative epsilon after this round's release, at the run's delta. */
  readonly epsilon: number
  readonly populationSize: number
  readonly survivors: number
  /** Noisy votes in units of one client's bound, highest first (at most 200 of them). */
  readonly noisyVotes: readonly number[]
  /** Threshold in the same units; null where a top share was used. */
  readonly threshold: number | null
  /** Standard deviation of the noise in the same units; 0 in a simulation with epsilon = infinity. */
  readonly sigma: number
  /** Mean cosine distance of the consented texts to the nearest candidate of the population that was voted on. */
  readonly consentedDistance: Interval | null
  readonly diversity: Diversity
  readonly samples: readonly string[]
  readonly warnings?: readonly string[]
}

export interface RunReport {
  readonly format: 'pretext-report'
  readonly version: 1
  readonly run: {
    readonly id: string
    readonly name: string
    readonly startedAt: string
    readonly finishedAt: string
    readonly seconds: number
    readonly command: string
    /** sha256 (hex) of the config as it was resolved: two runs with the same hash asked for the same. */
    readonly configHash: string
    readonly pretextVersion: string
    readonly dataset: string
    readonly seed: number
  }
  /** True where texts were declared free for experiments: every artefact then carries a banner. */
  readonly simulation: boolean
  readonly privacy: {
    /** Infinity is written as the string "inf" in JSON. */
    readonly epsilon: number
    readonly delta: number
    readonly unit: 'client' | 'record'
    readonly adjacency: 'add-remove' | 'substitution'
    /** The same releases under the other adjacency. */
    readonly other: { readonly adjacency: 'add-remove' | 'substitution'; readonly epsilon: number }
    readonly noiseMultiplier: number
    readonly voteMode: string
    readonly l2Bound: number
    readonly releases: number
    /** Releases that were charged, lost in a crash and drawn again under the same charge. */
    readonly redrawn: number
    readonly accountant: string
    readonly aggregation: 'trusted' | 'two-server'
    /** Where two servers add half of the noise each: against one of them. */
    readonly epsilonOfOneServer?: number
    /** Everything this data set has spent so far by its ledger, over all runs. */
    readonly dataset: { readonly epsilon: number; readonly releases: number; readonly runs: number }
    readonly notCovered: readonly string[]
  }
  /** What the run was told beforehand: domain hint, label list, public texts. */
  readonly priorKnowledge: readonly string[]
  readonly embedder: EmbedderIdentity & { readonly device: string }
  readonly llm: {
    readonly id: string
    readonly calls: number
    readonly cachedCalls: number
    readonly promptTokens: number
    readonly completionTokens: number
    /** In US dollars by the dated price table; null where the model has no price. */
    readonly dollars: number | null
    /** Date of that table (YYYY-MM-DD); null where no price was looked up. */
    readonly pricesDate: string | null
  }
  readonly rounds: readonly RoundReport[]
  /** Mean distance of the consented texts to the final population and to the corpus. */
  readonly final: {
    readonly consentedToPopulation: Interval | null
    readonly consentedToCorpus: Interval | null
  }
  readonly corpus: {
    readonly texts: number
    readonly requested: number
    readonly seeds: number
    readonly rejected: Readonly<Record<string, number>>
    readonly lengths: readonly LengthBin[]
    readonly diversity: Diversity
    readonly labels: Readonly<Record<string, number>>
    readonly samples: readonly { readonly text: string; readonly label?: string }[]
    /** sha256 (hex) of synthetic.jsonl and synthetic.parquet, by name. Reports did not always have it. */
    readonly sha256?: Readonly<Record<string, string>>
  }
  readonly warnings: readonly string[]
}
