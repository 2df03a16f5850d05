// What a comparison says: one row for each arm and epsilon, with figures on clients that no arm and no choice saw. Only
// figures: no text, no figure of a single client.
import type { Figure } from './evaluation-data.ts'

/** Infinity is written as the string "inf" in JSON. */
export interface EpsilonValue {
  readonly epsilon: number
}

export interface ComparisonMeters {
  readonly rounds: number
  readonly participations: number
  readonly bytesDownPerClientRound: number
  readonly bytesUpPerClientRound: number
  readonly clientCpuSecondsPerRound: number
  readonly clientFlopsPerRound: number
  readonly serverCpuSeconds: number
  readonly llmTokens: number
}

export interface ComparisonRow {
  readonly arm: string
  readonly about: string
  /** What protects a client: docs/comparison.md. */
  readonly guarantee: 'client' | 'text' | 'public' | 'none'
  /** Why an arm without a guarantee has no epsilon; null for the others. */
  readonly noEpsilon: string | null
  /** null where epsilon changes nothing. */
  readonly asked: EpsilonValue | null
  /** The largest over the runs, recomputed from the noise that each really added. */
  readonly spent: EpsilonValue | null
  /** Of one text, on the device: local DP. */
  readonly perText: EpsilonValue | null
  readonly settings: Readonly<Record<string, unknown>>
  /** Settings that were tried on the validation clients, and how many the grid has. */
  readonly trials: readonly {
    readonly settings: Readonly<Record<string, unknown>>
    readonly loss: number
    readonly accuracy: number
  }[]
  readonly grid: number
  readonly seeds: readonly number[]
  /** Means over the seeds; intervals by bootstrap over evaluation clients and seeds. Empty without a model. */
  readonly figures: Readonly<Record<string, Figure>>
  /** Minus that of PrE-Text at the same epsilon, on the same draws of clients; empty for PrE-Text itself. */
  readonly difference: Readonly<Record<string, Figure>>
  readonly parameters: number | null
  readonly vocabulary: number | null
  /** Means over the runs; null where none was finished. */
  readonly meters: ComparisonMeters | null
  readonly validation: { readonly loss: number; readonly accuracy: number } | null
  /** Figures of this arm alone, of its first run. */
  readonly measures: Readonly<Record<string, unknown>>
  readonly seconds: number
  readonly failed: { readonly part: string; readonly message: string } | null
}

/** Rows whose figures may be set beside each other: they promise the same. */
export interface ComparisonGroup {
  readonly title: string
  readonly note: string
  /** By arm and epsilon. */
  readonly rows: readonly Pick<ComparisonRow, 'arm' | 'asked'>[]
}

export interface ComparisonReport {
  readonly format: 'pretext-comparison'
  readonly version: 1
  readonly name: string
  readonly dataset: string
  readonly simulation: true
  readonly clients: {
    readonly clients: number
    readonly texts: number
    readonly validationClients: number
    readonly validationTexts: number
    readonly evaluationClients: number
    readonly evaluationTexts: number
  }
  readonly unit: 'client' | 'record'
  readonly adjacency: 'add-remove' | 'substitution'
  readonly delta: number
  readonly epsilons: readonly EpsilonValue[]
  readonly seeds: readonly number[]
  /** Corpora that the seeds of an arm share; "each": every seed has its own. */
  readonly corpora: 'each' | number
  /** Settings tried for each arm and epsilon, at most. */
  readonly trials: number
  readonly sequenceTokens: number
  readonly resamples: number
  readonly groups: readonly ComparisonGroup[]
  readonly rows: readonly ComparisonRow[]
  readonly notCovered: readonly string[]
  readonly warnings: readonly string[]
  readonly command: string
  readonly machine: string
  readonly pretextVersion: string
  readonly finishedAt: string
}
