// The steps of a round where all clients are in this process: embed, vote, charge, release; and variations by an LLM.
import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { gatherRows, type Matrix, matrix } from '../embeddings/matrix.ts'
import type { OnEvent } from '../events.ts'
import { type Labels, positionsByLabel } from '../evolution/labels.ts'
import { type Population, scheduled } from '../evolution/population.ts'
import type { RoundSteps } from '../evolution/round.ts'
import { type VariationOptions, vary } from '../evolution/vary.ts'
import type { VoteBound } from '../histogram/bound.ts'
import type { LocalClients } from '../histogram/clients.ts'
import { createNeighbours } from '../histogram/create-neighbours.ts'
import { releaseHistogram } from '../histogram/release.ts'
import type { CandidateIndex } from '../histogram/vote.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import type { LedgerTerms } from '../privacy/ledger.ts'
import type { Random } from '../random.ts'

export interface LocalStepsOptions {
  readonly config: Config
  /** The clients with their embeddings, made when the first vote needs them. */
  readonly clients: () => Promise<LocalClients>
  readonly embedder: Embedder
  readonly variation: VariationOptions
  readonly labels: Labels
  readonly random: Random
  readonly bound: VoteBound
  readonly mechanism: ReleaseEvent
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly run: string
  readonly releaseFile: (round: number) => string
  readonly onEvent: OnEvent
  readonly onRedrawn: (release: string) => void
  readonly signal?: AbortSignal
}

export function localSteps(options: LocalStepsOptions): RoundSteps {
  const { config, embedder, variation, labels, random, onEvent } = options
  const signal = options.signal === undefined ? {} : { signal: options.signal }
  const degree = (t: number) => scheduled(config.evolution.variation.degree, t)
  const { rounds } = config.evolution

  return {
    async lookahead(population, t) {
      const { variations: k, includeSelf } = config.evolution.lookahead
      const texts = population.map((candidate) => candidate.text)
      if (k === 0) return embedder.embed(texts, signal)
      const parents = population.flatMap((candidate) => Array.from({ length: k }, () => candidate))
      const progress = stageProgress(
        onEvent,
        'lookahead',
        `round ${t}/${rounds}: looking ahead`,
        parents.length,
      )
      const ahead = await vary(
        {
          parents,
          survivors: population,
          round: t,
          degree: degree(t),
          random: random.fork('lookahead'),
          ...signal,
          onDone: progress.step,
        },
        { ...variation, steps: 1, attempts: 0 },
      )
      progress.end()
      const each = await embedder.embed(
        ahead.map((candidate) => candidate.text),
        signal,
      )
      return meanRows(each, k, includeSelf ? await embedder.embed(texts, signal) : undefined)
    },

    async votes(population, embeddings, t) {
      const release = releaseName(t)
      const label = `round ${t}/${rounds}: voting`
      onEvent({ type: 'stage', stage: 'vote', label })
      const indexes = await candidateIndexes(population, embeddings, labels, config, onEvent)
      try {
        const { histogram, redrawn } = await releaseHistogram({
          file: options.releaseFile(t),
          ledger: options.ledger,
          terms: options.terms,
          charge: { run: options.run, release, mechanism: options.mechanism },
          count: async () =>
            (await options.clients()).countVotes(
              indexes,
              population.length,
              voteOptions(config),
              options.bound,
              options.signal,
            ),
        })
        if (redrawn) options.onRedrawn(release)
        return histogram
      } finally {
        for (const index of indexes.values()) await index.neighbours.dispose()
        onEvent({ type: 'stage-end', stage: 'vote', label })
      }
    },

    async vary(parents, survivors, t) {
      const total = parents.length * variation.steps
      const progress = stageProgress(onEvent, 'variation', `round ${t}/${rounds}: varying`, total)
      const next = await vary(
        {
          parents,
          survivors,
          round: t,
          degree: degree(t),
          random: random.fork('variation'),
          ...signal,
          onDone: progress.step,
        },
        variation,
      )
      progress.end()
      return next
    },
  }
}

/** Name of round t's release in the ledger; 0 is that of the label shares. */
export function releaseName(t: number): string {
  return t === 0 ? 'label-shares' : `round-${t}`
}

/** The vote options of a config; its bound follows from them. */
export function voteOptions({ histogram, privacy }: Pick<Config, 'histogram' | 'privacy'>) {
  const { vote: mode, neighbours, maxCandidates, clip } = histogram
  // A record is one text, so no noise is spent on more.
  const maxTextsPerClient = privacy.unit === 'record' ? 1 : histogram.maxTextsPerClient
  return {
    mode,
    maxTextsPerClient,
    neighbours,
    ...(maxCandidates === undefined ? {} : { maxCandidates }),
    ...(clip === undefined ? {} : { clip }),
  }
}

/** One search index for the candidates of each label that has any. */
async function candidateIndexes(
  population: Population,
  embeddings: Matrix,
  labels: Labels,
  { histogram, seed }: Config,
  onEvent: OnEvent,
): Promise<Map<number, CandidateIndex>> {
  const indexes = new Map<number, CandidateIndex>()
  const byLabel = positionsByLabel(population, labels)
  const threads = Math.max(1, Math.floor(availableParallelism() / byLabel.length))
  for (const [label, positions] of byLabel.entries()) {
    if (positions.length === 0) continue
    const { distance, backend } = histogram
    const neighbours = await createNeighbours(gatherRows(embeddings, positions), {
      distance,
      backend,
      seed,
      threads,
    })
    if (neighbours.backend === 'hnsw') {
      const recall = neighbours.recall.toFixed(3)
      onEvent({ type: 'note', message: `neighbours: hnsw, recall ${recall} (measured on synthetic text)` })
    }
    indexes.set(label, { neighbours, positions })
  }
  return indexes
}

/** The mean of each `k` consecutive rows, with the row of `self` as one more where it is given. */
function meanRows(rows: Matrix, k: number, self: Matrix | undefined): Matrix {
  const out = matrix(rows.rows / k, rows.dim)
  const count = self === undefined ? k : k + 1
  for (let i = 0; i < out.rows; i++) {
    for (let d = 0; d < rows.dim; d++) {
      let sum = self === undefined ? 0 : (self.values[i * rows.dim + d] as number)
      for (let j = 0; j < k; j++) sum += rows.values[(i * k + j) * rows.dim + d] as number
      out.values[i * rows.dim + d] = sum / count
    }
  }
  return out
}

export function stageProgress(
  onEvent: OnEvent,
  stage: 'lookahead' | 'variation' | 'initial' | 'embed',
  label: string,
  total: number,
) {
  let done = 0
  onEvent({ type: 'stage', stage, label, total, unit: 'texts' })
  return {
    step: () => onEvent({ type: 'progress', stage, done: ++done, total }),
    end: () => onEvent({ type: 'stage-end', stage, label }),
  }
}
