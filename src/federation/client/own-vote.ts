// A client's own texts, and its vote: chosen, embedded and compared here, by the same code as a simulated client. What
// leaves this file is a vote.
import type { Embedder } from '../../embeddings/embedder.ts'
import { gatherRows, type Matrix, row } from '../../embeddings/matrix.ts'
import { PretextError } from '../../errors.ts'
import { voteBound } from '../../histogram/bound.ts'
import type { Vote } from '../../histogram/clip.ts'
import { type CandidateIndex, type ClientEmbeddings, clientVote } from '../../histogram/vote.ts'
import { chooseTexts } from '../../texts/choose.ts'
import { limitText } from '../../texts/words.ts'
import type { Manifest } from '../protocol/manifest.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'
import { plainNeighbours } from './nearest.ts'

/** The texts of the client itself. They stay in this process. */
export interface OwnTexts {
  readonly texts: readonly string[]
  /** The label of each text; needed where the round has labels. */
  readonly labels?: readonly string[]
}

export interface OwnVoter {
  vote(manifest: Manifest, candidates: Matrix): Promise<Vote>
}

export function ownVoter(own: OwnTexts, embedder: Pick<Embedder, 'embed'>): OwnVoter {
  const held = new Map<string, Promise<ClientEmbeddings>>()
  return {
    async vote(manifest, candidates) {
      // The same texts vote in all rounds of a session, as in a simulated run.
      const { texts, labels, vote } = manifest
      const key = JSON.stringify([texts, labels?.names ?? null, vote.maxTextsPerClient])
      let client = held.get(key)
      if (client === undefined) {
        client = embedChosen(own, embedder, manifest)
        held.set(key, client)
      }
      const options = voteOptionsOf(manifest)
      return clientVote(await client, candidateIndexes(manifest, candidates), options, voteBound(options))
    },
  }
}

async function embedChosen(
  own: OwnTexts,
  embedder: Pick<Embedder, 'embed'>,
  { texts: limits, labels, vote }: Manifest,
): Promise<ClientEmbeddings> {
  if (labels !== null && own.labels === undefined) {
    throw new PretextError('the round asks for a label with each text, and the texts have none', {
      code: 'data',
      hint: 'name the column with the labels (--label)',
    })
  }
  const usable = own.texts.flatMap((raw, i) => {
    const { text } = limitText(raw, limits)
    const label = labels === null ? 0 : labels.names.indexOf(own.labels?.[i] ?? '')
    return text === undefined || label < 0 ? [] : [{ text, label }]
  })
  if (usable.length === 0) {
    throw new PretextError(
      `expected at least one text of ${limits.minWords} words or more${labels === null ? '' : ' with a label of the round'}, got none`,
      { code: 'data', hint: 'nothing was sent; check the file and its columns' },
    )
  }
  const chosen = chooseTexts(usable.length, vote.maxTextsPerClient).map(
    (i) => usable[i] as (typeof usable)[0],
  )
  const embeddings = await embedder.embed(chosen.map(({ text }) => text))
  // A text whose embedding is not finite casts no vote.
  const finite = chosen.flatMap((_, i) => (row(embeddings, i).every(Number.isFinite) ? [i] : []))
  return {
    embeddings: gatherRows(embeddings, finite),
    labels: finite.map((i) => (chosen[i] as { label: number }).label),
  }
}

function candidateIndexes({ labels, vote }: Manifest, candidates: Matrix): Map<number, CandidateIndex> {
  const positions = new Map<number, number[]>()
  for (let i = 0; i < candidates.rows; i++) {
    const label = labels?.of[i] ?? 0
    const own = positions.get(label)
    if (own === undefined) positions.set(label, [i])
    else own.push(i)
  }
  return new Map(
    [...positions].map(([label, own]) => {
      const neighbours = plainNeighbours(gatherRows(candidates, own), vote.distance)
      return [label, { neighbours, positions: own }]
    }),
  )
}
