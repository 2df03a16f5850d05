// What an evaluation says: figures of sets of synthetic texts (columns) and of models against real texts that were not used
// to make them. Only figures: no text, no embedding, no figure of a single client.

export interface Figure {
  readonly value: number
  /** 95%; how it is drawn depends on the metric (docs/evaluation.md). */
  readonly low: number
  readonly high: number
  /** Texts it was computed on, where that is a part of the column. */
  readonly texts?: number | undefined
}

export type ColumnName = 'initial' | 'expand-only' | 'corpus' | 'private'

export interface EvaluationColumn {
  readonly name: ColumnName
  /** Texts that there are, and how many of each set were compared: the same number in every column. */
  readonly texts: number
  /** Corpora of this column, one for each seed; reports did not always have it, and then it was one. */
  readonly sets?: number
  readonly compared: number
  readonly figures: Readonly<Record<string, Figure>>
  /** Why a metric has no figure here. */
  readonly skipped: Readonly<Record<string, string>>
}

export interface ModelFigures {
  /** What the models were trained on, by the word of the user: "corpus" where nothing was said. */
  readonly name: string
  /** The models, as they were given: one for each seed. */
  readonly models: readonly string[]
  readonly figures: Readonly<Record<string, Figure>>
  /** Of one model. */
  readonly tokens: number
  readonly texts: number
  readonly clients: number
  /** Texts longer than a sequence: only their beginning was told. */
  readonly cut: number
  readonly vocabulary: number
  readonly parameters: number
}

export interface EvaluationReport {
  readonly format: 'pretext-evaluation'
  readonly version: 1
  readonly name: string
  readonly dataset: string
  readonly simulation: boolean
  /** Which real texts were the reference. */
  readonly reference: {
    readonly kind: 'consented' | 'simulation'
    readonly clients: number
    readonly texts: number
    /** Clients and texts of the columns' figures, where the reference was too large for all of it. */
    readonly comparedClients: number
    readonly comparedTexts: number
  }
  /** Null where no figure needs one. */
  readonly embedder: { readonly model: string; readonly dim: number; readonly sha256: string } | null
  /** k of precision and recall, and most draws for an interval. */
  readonly neighbours: number
  readonly resamples: number
  readonly sequenceTokens: number
  readonly seed: number
  readonly columns: readonly EvaluationColumn[]
  readonly models: readonly ModelFigures[]
  readonly warnings: readonly string[]
  readonly pretextVersion: string
  readonly finishedAt: string
}
