// Next-token accuracy and cross-entropy of models over clients and seeds: from the sums that the trainer gives for each client
// to figures with intervals. A draw takes clients with repetition, and models too where there are several.
import type { JobResult } from '../finetune/protocol.ts'
import type { Random } from '../random.ts'
import type { Figure, ModelFigures } from '../report/evaluation-data.ts'
import { groupBy } from './group.ts'

export type ModelSums = JobResult<'evaluate-model'>

interface Totals {
  readonly tokens: number
  readonly crossEntropy: number
  readonly correct: readonly number[]
  readonly bytes: number
}

const TOPS = [1, 3, 5, 10]

const METRICS: Readonly<Record<string, (totals: Totals) => number>> = {
  ...Object.fromEntries(
    TOPS.map((top, i) => [`top-${top}`, ({ correct, tokens }: Totals) => (correct[i] as number) / tokens]),
  ),
  'cross-entropy': ({ crossEntropy, tokens }) => crossEntropy / tokens,
  'bits-per-byte': ({ crossEntropy, bytes }) => crossEntropy / Math.LN2 / bytes,
}

/** A model's sums; models of one `corpus` are trained on the same texts. Without it each has its own. */
export interface EvaluatedModel {
  readonly sums: ModelSums
  readonly corpus?: number
}

/**
 * As many models again, for one draw of a bootstrap: corpora with repetition, and for each of its trainings one of that corpus,
 * since what differs between releases is common to all trainings on one of them.
 */
export function drawModels<M extends { readonly corpus?: number }>(
  models: readonly M[],
  random: Random,
): M[] {
  // Who has no corpus named is a group of its own.
  const groups = [...groupBy<M, M | number>(models, (model) => model.corpus ?? model).values()]
  const pick = <T>(list: readonly T[]): T => (list.length === 1 ? (list[0] as T) : random.pick(list))
  return groups.flatMap(() => {
    const group = pick(groups)
    return group.map(() => pick(group))
  })
}

/** Models of one kind: each is evaluated on the same clients, in the same order. */
export function nextTokenFigures(
  name: string,
  models: readonly (EvaluatedModel & { readonly path: string })[],
  options: { readonly resamples: number; readonly random: Random },
): ModelFigures {
  const first = models[0]?.sums as ModelSums
  const clients = first.clients.length
  const everyone = Array.from({ length: clients }, (_, i) => i)
  const { resamples, random } = options
  const draws: Record<string, number[]> = Object.fromEntries(Object.keys(METRICS).map((id) => [id, []]))
  for (let draw = 0; draw < resamples; draw++) {
    const drawnClients = everyone.map(() => random.integer(clients))
    const means = meansOf(drawModels(models, random), drawnClients)
    for (const [id, value] of Object.entries(means)) (draws[id] as number[]).push(value)
  }
  const values = meansOf(models, everyone)
  const figures = Object.fromEntries(
    Object.entries(values).map(([id, value]): [string, Figure] => {
      const sorted = (draws[id] as number[]).sort((a, b) => a - b)
      return [id, { value, ...percentiles(sorted, value) }]
    }),
  )
  return {
    name,
    models: models.map((model) => model.path),
    figures,
    tokens: first.clients.reduce((sum, client) => sum + client.tokens, 0),
    texts: first.texts,
    clients,
    cut: first.cut,
    vocabulary: first.vocabulary,
    parameters: first.parameters,
  }
}

/** Each metric, as the mean over the models of sums over the clients: every token counts alike. */
function meansOf(models: readonly EvaluatedModel[], clients: readonly number[]): Record<string, number> {
  const means: Record<string, number> = {}
  for (const { sums } of models) {
    const totals = { tokens: 0, crossEntropy: 0, correct: [0, 0, 0, 0], bytes: 0 }
    for (const c of clients) {
      const own = sums.clients[c] as Totals
      totals.tokens += own.tokens
      totals.crossEntropy += own.crossEntropy
      totals.bytes += own.bytes
      for (let i = 0; i < TOPS.length; i++) {
        totals.correct[i] = (totals.correct[i] as number) + (own.correct[i] as number)
      }
    }
    for (const [id, of] of Object.entries(METRICS)) means[id] = (means[id] ?? 0) + of(totals) / models.length
  }
  return means
}

function percentiles(sorted: readonly number[], value: number): { low: number; high: number } {
  if (sorted.length === 0) return { low: value, high: value }
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
  return { low: at(0.025), high: at(0.975) }
}
