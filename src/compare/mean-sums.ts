// Several models as one, where each belongs to a client of its own: every evaluation client's sums, as their mean over the
// models. All share one vocabulary, so that tokens and bytes are the same for each.
import type { ModelSums } from '../evaluate/next-token.ts'

export function meanSums(models: readonly ModelSums[]): ModelSums | null {
  const [first] = models
  if (first === undefined) return null
  const mean = (value: (model: ModelSums) => number) =>
    models.reduce((sum, model) => sum + value(model), 0) / models.length
  type Client = ModelSums['clients'][number]
  const clients = first.clients.map(({ tokens, bytes, correct }, c): Client => {
    const of = (model: ModelSums) => model.clients[c] as Client
    return {
      tokens,
      bytes,
      crossEntropy: mean((model) => of(model).crossEntropy),
      correct: correct.map((_, i) => mean((model) => of(model).correct[i] as number)),
    }
  })
  return { ...first, clients }
}
