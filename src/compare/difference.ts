// How far one arm lies from another, on the same evaluation clients: each draw takes clients once for both, because what makes
// a client hard is hard for all arms. Corpora and seeds are drawn for each arm by itself.
import { drawModels, type EvaluatedModel } from '../evaluate/next-token.ts'
import type { Random } from '../random.ts'
import type { Figure } from '../report/evaluation-data.ts'

const METRICS: Readonly<
  Record<string, (totals: { tokens: number; crossEntropy: number; correct: number }) => number>
> = {
  'top-1': ({ correct, tokens }) => correct / tokens,
  'cross-entropy': ({ crossEntropy, tokens }) => crossEntropy / tokens,
}

/** `own` minus `other`, with a 95% interval; both hold one entry for each seed. */
export function differences(
  own: readonly EvaluatedModel[],
  other: readonly EvaluatedModel[],
  options: { readonly resamples: number; readonly random: Random },
): Record<string, Figure> {
  const clients = own[0]?.sums.clients.length ?? 0
  if (own.length === 0 || other.length === 0 || other[0]?.sums.clients.length !== clients) return {}
  // Models of other vocabularies count other tokens: their difference says nothing.
  if (own[0]?.sums.vocabulary !== other[0]?.sums.vocabulary) return {}
  const { random, resamples } = options
  const everyone = Array.from({ length: clients }, (_, i) => i)
  const draws: Record<string, number[]> = { 'top-1': [], 'cross-entropy': [] }
  for (let i = 0; i < resamples; i++) {
    const drawn = everyone.map(() => random.integer(clients))
    const a = means(drawModels(own, random), drawn)
    const b = means(drawModels(other, random), drawn)
    for (const [id, values] of Object.entries(draws)) values.push((a[id] as number) - (b[id] as number))
  }
  const a = means(own, everyone)
  const b = means(other, everyone)
  return Object.fromEntries(
    Object.entries(draws).map(([id, values]) => {
      const sorted = values.sort((x, y) => x - y)
      const at = (share: number) =>
        sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] as number
      return [id, { value: (a[id] as number) - (b[id] as number), low: at(0.025), high: at(0.975) }]
    }),
  )
}

function means(models: readonly EvaluatedModel[], clients: readonly number[]): Record<string, number> {
  const result: Record<string, number> = {}
  for (const { sums } of models) {
    const totals = { tokens: 0, crossEntropy: 0, correct: 0 }
    for (const c of clients) {
      const client = sums.clients[c] as EvaluatedModel['sums']['clients'][number]
      totals.tokens += client.tokens
      totals.crossEntropy += client.crossEntropy
      totals.correct += client.correct[0] as number
    }
    for (const [id, of] of Object.entries(METRICS)) {
      result[id] = (result[id] ?? 0) + of(totals) / models.length
    }
  }
  return result
}
