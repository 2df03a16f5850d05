// One client's vote: PrE-Text Algorithm 1, the inner loop. It sees the texts of this client alone, so that the vote
// depends on nothing else, and it runs where the texts are.
//
// Why this is private: the candidates are public, and everything that this client adds to the round, over all labels, is one
// vote under one clip. Adding or removing the client then changes the sum by that vote and nothing else; clipping each label
// by itself would multiply the sensitivity by sqrt(labels).
import type { Matrix } from '../embeddings/matrix.ts'
import { gatherRows } from '../embeddings/matrix.ts'
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
  if (client.labels.length > options.maxTextsPerClient) {
    throw new RangeError(`expected at most ${options.maxTextsPerClient} texts of one client`)
  }
  const counts = new Map<number, number>()
  for (const [label, index] of indexes) {
    const rows = client.labels.flatMap((l, i) => (l === label ? [i] : []))
    if (rows.length === 0) continue
    const k = Math.min(options.neighbours, index.positions.length)
    const { indices } = await index.neighbours.nearest(gatherRows(client.embeddings, rows), k)
    for (const local of indices) {
      const candidate = index.positions[local] as number
      counts.set(candidate, (counts.get(candidate) ?? 0) + 1)
    }
  }
  return clip(counts, options, bound)
}
