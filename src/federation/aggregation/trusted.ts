// Trusted aggregation: the coordinator sees each vote, checks it against the bound in integers, adds and releases.
import { voteBound } from '../../histogram/bound.ts'
import { squaredNorm, type Vote } from '../../histogram/clip.ts'
import { ExactVotes } from '../../histogram/exact-votes.ts'
import { releaseHistogram } from '../../histogram/release.ts'
import type { Manifest } from '../protocol/manifest.ts'
import { decodeVote, longestVote } from '../protocol/vote-bytes.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'
import type { Aggregation, ClosedRound } from './aggregation.ts'

export const trustedAggregation: Aggregation = {
  terms: { mode: 'trusted' },
  whoSeesAVote:
    'the coordinator sees each single vote (not the texts) before it adds noise to the sum: take part only if you trust who runs it',
  contentType: 'application/octet-stream',
  largestUpload: (manifest) => longestVote(manifest.candidates.count),
  check(upload, manifest) {
    checkedVote(upload, manifest)
  },
  release(round, options) {
    return releaseHistogram({ ...options, count: () => sumVotes(round) })
  },
}

function checkedVote(upload: Uint8Array, manifest: Manifest): Vote {
  const vote = decodeVote(upload, manifest.candidates.count)
  if (manifest.vote.mode === 'multihot' && vote.steps.some((steps) => steps !== 1n))
    throw new RangeError('a multihot vote gives each candidate exactly one step')
  if (squaredNorm(vote) > BigInt(manifest.vote.boundSquared))
    throw new RangeError('the vote exceeds its L2 bound')
  return vote
}

/** The exact sum of a closed round: the same for the same votes, so that a crash between charge and draw changes nothing. */
export async function sumVotes({ manifest, uploads }: ClosedRound): Promise<ExactVotes> {
  const bound = voteBound(voteOptionsOf(manifest))
  const votes = new ExactVotes(manifest.candidates.count, bound, false)
  for await (const upload of uploads()) {
    votes.add(checkedVote(upload, manifest))
  }
  return votes
}
