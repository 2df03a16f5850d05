// One client's vote: PrE-Text Algorithm 1, the inner loop. It depends on the texts of this client alone, and runs where the
// texts are.
//
// Why this is private: the candidates are public, and everything that this client adds to the round, over all labels, is one
// vote under one clip. Adding or removing the client then changes the sum by that vote and nothing else; clipping each label
// by itself would multiply the sensitivity by sqrt(labels).
import { type Matrix, matrix, row } from '../embeddings/matrix.ts'
import type { VoteBound, VoteOptions } from './bound.ts'
import { clip, type Vote } from './clip.ts'
import type { Neighbours } from './neighbours.ts'

/** The candidates of one label (of all texts, where there are no labels), and where they stand in the population. */
export interface CandidateIndex {
  readonly neighbours: Neighbours
  /** Position in the population of each candidate of this index. */
  readonly positions: readonly number[]
}

/** Embeddings of the texts that a client votes with, and the label of each (0 without labels). */
export interface ClientEmbeddings {
  readonly embeddings: Matrix
  readonly labels: readonly number[]
}

/**
 * Each text votes for its `neighbours` nearest candidates among those of its own label; the votes for all labels
 * together are clipped once, so the bound holds over everything that the client sends in the round.
 */
export async function clientVote(
  client: ClientEmbeddings,
  indexes: ReadonlyMap<number, CandidateIndex>,
  options: VoteOptions,
  bound: VoteBound,
): Promise<Vote> {
  const [vote] = await clientVotes([client], indexes, options, bound)
  return vote as Vote
}

/** The same for several clients, searched for together: the answer for a text is its own (neighbours.ts). */
export async function clientVotes(
  clients: readonly ClientEmbeddings[],
  indexes: ReadonlyMap<number, CandidateIndex>,
  options: VoteOptions,
  bound: VoteBound,
): Promise<Vote[]> {
  if (clients.some(({ labels }) => labels.length > options.maxTextsPerClient)) {
    throw new RangeError(`expected at most ${options.maxTextsPerClient} texts of one client`)
  }
  const counts = clients.map(() => new Map<number, number>())
  for (const [label, { neighbours, positions }] of indexes) {
    const texts = clients.flatMap(({ embeddings, labels }, client) =>
      labels.flatMap((l, i) => (l === label ? [{ client, embedding: row(embeddings, i) }] : [])),
    )
    const [first] = texts
    if (first === undefined) continue
    const queries = matrix(texts.length, first.embedding.length)
    for (const [i, { embedding }] of texts.entries()) row(queries, i).set(embedding)
    const k = Math.min(options.neighbours, positions.length)
    const { indices } = await neighbours.nearest(queries, k)
    for (const [i, local] of indices.entries()) {
      const own = counts[texts[Math.floor(i / k)]?.client as number] as Map<number, number>
      const candidate = positions[local] as number
      own.set(candidate, (own.get(candidate) ?? 0) + 1)
    }
  }
  return counts.map((own) => clip(own, options, bound))
}
