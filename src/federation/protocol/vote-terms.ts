// The vote of a manifest in the words of the histogram room, and the other way round.
import { type VoteOptions, voteBound } from '../../histogram/bound.ts'
import type { Distance } from '../../histogram/neighbours.ts'
import type { Manifest } from './manifest.ts'

export function voteOptionsOf({ vote }: Manifest): VoteOptions {
  const { mode, maxTextsPerClient, neighbours, maxCandidates, clip } = vote
  return {
    mode,
    maxTextsPerClient,
    neighbours,
    ...(maxCandidates === null ? {} : { maxCandidates }),
    ...(clip === null ? {} : { clip }),
  }
}

export function voteTermsOf(options: VoteOptions, distance: Distance): Manifest['vote'] {
  const bound = voteBound(options)
  return {
    mode: options.mode,
    neighbours: options.neighbours,
    maxTextsPerClient: options.maxTextsPerClient,
    maxCandidates: options.maxCandidates ?? null,
    clip: options.clip ?? null,
    distance,
    gridSteps: bound.steps,
    boundSquared: bound.squared.toString(),
  }
}
