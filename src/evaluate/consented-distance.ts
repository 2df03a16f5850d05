// How near a set of synthetic texts is to the consented texts: the mean cosine distance of each consented text to its
// nearest synthetic text, with a 95% bootstrap over clients. For reporting only: nothing in a run depends on it.
import pLimit from 'p-limit'
import type { Embedder } from '../embeddings/embedder.ts'
import type { Matrix } from '../embeddings/matrix.ts'
import { createNeighbours } from '../histogram/create-neighbours.ts'
import type { Random } from '../random.ts'
import type { Interval } from '../report/data.ts'
import type { ConsentedTexts } from '../texts/private-texts.ts'

const RESAMPLES = 1000

export interface ConsentedEmbeddings {
  readonly clients: readonly Matrix[]
}

export async function embedConsented(
  texts: ConsentedTexts,
  embedder: Embedder,
  options: { readonly maxTextsPerClient: number; readonly onClient?: (done: number) => void },
): Promise<ConsentedEmbeddings> {
  let done = 0
  const embedOne = async (i: number): Promise<Matrix> => {
    const first = Array.from({ length: Math.min(texts.textsOf(i), options.maxTextsPerClient) }, (_, j) => j)
    const own = await embedder.embed(texts.read(i, first).texts)
    options.onClient?.(++done)
    return own
  }
  const limit = pLimit(embedder.parallel)
  try {
    return { clients: await Promise.all(Array.from({ length: texts.clients }, (_, i) => limit(embedOne, i))) }
  } finally {
    limit.clearQueue()
  }
}

/** Distances of each client's texts to their nearest row of `synthetic` (unit rows): 1 - cosine. */
export async function nearestDistances(of: ConsentedEmbeddings, synthetic: Matrix): Promise<number[][]> {
  const neighbours = await createNeighbours(synthetic, { distance: 'cosine', seed: 0, backend: 'exact' })
  try {
    const distances: number[][] = []
    for (const client of of.clients) {
      const { indices } = await neighbours.nearest(client, 1)
      distances.push(Array.from(indices, (index, i) => 1 - cosine(client, i, synthetic, index)))
    }
    return distances
  } finally {
    await neighbours.dispose()
  }
}

function cosine(a: Matrix, i: number, b: Matrix, j: number): number {
  let dot = 0
  let normA = 0
  let normB = 0
  for (let d = 0; d < a.dim; d++) {
    const x = a.values[i * a.dim + d] as number
    const y = b.values[j * b.dim + d] as number
    dot += x * y
    normA += x * x
    normB += y * y
  }
  return dot / Math.sqrt(normA * normB)
}

/** Mean over all texts; the bootstrap draws clients, because the texts of one client resemble each other. */
export function clusterBootstrap(values: readonly (readonly number[])[], random: Random): Interval {
  const sums = values.map((own) => ({ sum: own.reduce((a, b) => a + b, 0), count: own.length }))
  const ratio = (of: readonly { sum: number; count: number }[]): number =>
    of.reduce((a, s) => a + s.sum, 0) / of.reduce((a, s) => a + s.count, 0)
  const means = Array.from({ length: RESAMPLES }, () => ratio(sums.map(() => random.pick(sums)))).sort(
    (a, b) => a - b,
  )
  return {
    mean: ratio(sums),
    low: means[Math.floor(0.025 * RESAMPLES)] as number,
    high: means[Math.ceil(0.975 * RESAMPLES) - 1] as number,
  }
}
