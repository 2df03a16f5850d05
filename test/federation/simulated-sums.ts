// What simulated clients would have voted: the exact sums on the same texts and the same candidates as a federation's.
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { decodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import { voteOptionsOf } from '../../src/federation/protocol/vote-terms.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { embedClients } from '../../src/histogram/clients.ts'
import { createNeighbours } from '../../src/histogram/create-neighbours.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { readTexts } from '../../src/texts/read.ts'

/** `path`: JSON lines of {client, text}; `candidates`: the bytes that the clients were sent. */
export async function simulatedSums(
  manifest: Manifest,
  candidates: Uint8Array,
  path: string,
  embedder: Embedder,
): Promise<bigint[]> {
  const { sha256: _, ...shape } = manifest.candidates
  const { texts } = await readTexts({
    path,
    columns: { text: 'text', client: 'client' },
    unit: 'client',
    kind: 'private',
    ...manifest.texts,
  })
  const options = voteOptionsOf(manifest)
  const local = await embedClients(texts, embedder, { ...options, onEvent: () => {} })
  const neighbours = await createNeighbours(decodeCandidates(candidates, shape), {
    distance: 'l2',
    backend: 'exact',
    seed: 0,
  })
  const positions = Array.from({ length: shape.count }, (_, i) => i)
  const indexes = new Map([[0, { neighbours, positions }]])
  return [...exactSums(await local.countVotes(indexes, shape.count, options, voteBound(options)))]
}
