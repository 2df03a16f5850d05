// How the votes of a round become a noisy histogram: the one part of a federation that differs between trusted and
// two-server mode. The coordinator knows nothing of what is inside an upload.
import type { NoisyHistogram } from '../../histogram/noise.ts'
import type { ReleaseOptions } from '../../histogram/release.ts'
import type { Manifest } from '../protocol/manifest.ts'

export interface ClosedRound {
  readonly hash: string
  readonly manifest: Manifest
  /** The counted uploads, each time from the beginning. */
  readonly uploads: () => AsyncIterable<Uint8Array>
}

export interface Aggregation {
  /** The `aggregation` of every manifest. */
  readonly terms: Manifest['aggregation']
  /** Who sees a single vote, in plain words, for screens and docs. */
  readonly whoSeesAVote: string
  readonly contentType: string
  /** Largest upload, in bytes. */
  largestUpload(manifest: Manifest): number
  /** Checks an upload at the door. Throws RangeError, with a message that quotes nothing of it. */
  check(upload: Uint8Array, manifest: Manifest): void
  /** Charges, draws and releases; called only for a closed round with enough clients. */
  release(
    round: ClosedRound,
    options: Omit<ReleaseOptions, 'count'>,
  ): Promise<{ readonly histogram: NoisyHistogram; readonly redrawn: boolean }>
}
