// The clients of a run in one process: each embeds its own texts and votes. Private embeddings live in memory only, and
// what leaves this file is ExactVotes.
import pLimit from 'p-limit'
import type { Embedder } from '../embeddings/embedder.ts'
import { gatherRows, row } from '../embeddings/matrix.ts'
import type { OnEvent } from '../events.ts'
import { chooseTexts } from '../texts/choose.ts'
import type { PrivateTexts, SimulationTexts } from '../texts/private-texts.ts'
import type { VoteBound, VoteOptions } from './bound.ts'
import { clip } from './clip.ts'
import { ExactVotes } from './exact-votes.ts'
import { type CandidateIndex, type ClientEmbeddings, clientVotes } from './vote.ts'

export interface LocalClients {
  /** Sum of the clipped votes over the candidates (`population` of them). */
  countVotes(
    indexes: ReadonlyMap<number, CandidateIndex>,
    population: number,
    options: VoteOptions,
    bound: VoteBound,
    signal?: AbortSignal,
  ): Promise<ExactVotes>
  /** Sum over clients of their label counts, clipped to L2 norm 1: for label shares under DP. */
  countLabels(labels: number): ExactVotes
}

/** Chooses each client's texts and embeds them, each client's in a call of their own. */
export async function embedClients(
  texts: PrivateTexts | SimulationTexts,
  embedder: Embedder,
  options: { readonly maxTextsPerClient: number; readonly onEvent: OnEvent; readonly signal?: AbortSignal },
): Promise<LocalClients> {
  const clients: ClientEmbeddings[] = []
  const label = 'embedding the private texts, client by client'
  // Progress in percent: how many clients or texts there are stays out of the events.
  options.onEvent({ type: 'stage', stage: 'embed', label, total: 100, unit: '%' })
  let done = 0
  let percent = 0
  const limit = pLimit(embedder.parallel)
  const embedOne = async (i: number) => {
    options.signal?.throwIfAborted()
    const chosen = texts.read(i, chooseTexts(texts.textsOf(i), options.maxTextsPerClient))
    clients[i] = finiteOnly({ embeddings: await embedder.embed(chosen.texts), labels: chosen.labels })
    // Every percent once, however few clients there are: the number of events tells nothing.
    const reached = Math.floor((100 * ++done) / texts.clients)
    while (percent < reached) {
      options.onEvent({ type: 'progress', stage: 'embed', done: ++percent, total: 100 })
    }
  }
  try {
    await Promise.all(Array.from({ length: texts.clients }, (_, i) => limit(embedOne, i)))
  } finally {
    limit.clearQueue()
  }
  options.onEvent({ type: 'stage-end', stage: 'embed', label })
  const simulation = texts.kind === 'simulation'
  return {
    async countVotes(indexes, population, voteOptions, bound, signal) {
      const votes = new ExactVotes(population, bound, simulation)
      for (const some of blocks(clients)) {
        signal?.throwIfAborted()
        for (const vote of await clientVotes(some, indexes, voteOptions, bound)) votes.add(vote)
      }
      return votes
    },
    countLabels(labels) {
      const options: VoteOptions = { mode: 'normalised', maxTextsPerClient: 1, neighbours: 1 }
      const bound = labelBound
      const votes = new ExactVotes(labels, bound, simulation)
      for (const client of clients) {
        const counts = new Map<number, number>()
        for (const l of client.labels) counts.set(l, (counts.get(l) ?? 0) + 1)
        votes.add(clip(counts, options, bound))
      }
      return votes
    },
  }
}

/** Texts searched for together: enough that all threads of a search have work. */
const BLOCK = 2_048

function* blocks(clients: readonly ClientEmbeddings[]): Generator<ClientEmbeddings[]> {
  let some: ClientEmbeddings[] = []
  let texts = 0
  for (const client of clients) {
    some.push(client)
    texts += client.labels.length
    if (texts < BLOCK) continue
    yield some
    some = []
    texts = 0
  }
  if (some.length > 0) yield some
}

/** A text whose embedding is not finite casts no vote: it must not decide whether the run goes on. */
function finiteOnly(client: ClientEmbeddings): ClientEmbeddings {
  const { embeddings, labels } = client
  const finite = labels.flatMap((_, i) => (row(embeddings, i).every(Number.isFinite) ? [i] : []))
  if (finite.length === labels.length) return client
  return { embeddings: gatherRows(embeddings, finite), labels: finite.map((i) => labels[i] as number) }
}

/** Label votes are normalised to L2 norm 1 whatever the mode of the rounds. */
export const labelBound: VoteBound = { steps: 2 ** 16, squared: 2n ** 32n }
