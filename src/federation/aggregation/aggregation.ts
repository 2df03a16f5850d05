// How the votes of a round become a noisy histogram: the one part of a federation that differs between trusted and
// two-server mode. The coordinator knows nothing of what is inside an upload.
import type { NoisyHistogram } from '../../histogram/noise.ts'
import type { ReleaseOptions } from '../../histogram/release.ts'
import type { Keys } from '../protocol/aggregator.ts'
import type { Manifest } from '../protocol/manifest.ts'

export interface ClosedRound {
  readonly hash: string
  readonly manifest: Manifest
  /** The counted uploads, each time from the beginning and in the same order. */
  readonly uploads: () => AsyncIterable<Uint8Array>
}

/** Where an upload belongs, as its request was signed. */
export interface Sender {
  /** sha256 of the manifest. */
  readonly hash: string
  readonly client: string
}

export interface Aggregation {
  /** The `aggregation` of every manifest. */
  readonly terms: Manifest['aggregation']
  /** Who sees a single vote, in plain words, for screens and docs. */
  readonly whoSeesAVote: string
  readonly contentType: string
  /** Largest upload, in bytes. */
  largestUpload(manifest: Manifest): number
  /**
   * Checks an upload at the door. Throws RangeError, with a message that quotes nothing of it, or a Refusal where the
   * client can do something about it.
   */
  check(upload: Uint8Array, manifest: Manifest, sender: Sender): void | Promise<void>
  /** The keys that uploads are sealed to; absent where they are not sealed. */
  readonly keys?: () => Promise<Keys>
  /** Called before clients hear of a round; throws where the round cannot be aggregated. */
  readonly announce?: (hash: string, manifest: Manifest, document: Uint8Array) => Promise<void>
  /** How many uploads of a closed round count; absent where all do. */
  readonly counted?: (round: ClosedRound) => Promise<number>
  /** Called when a round was refused, before its votes are forgotten. */
  readonly refused?: (round: Pick<ClosedRound, 'hash' | 'manifest'>) => Promise<void>
  /** Charges, draws and releases; called only for a closed round with enough clients. */
  release(
    round: ClosedRound,
    options: Omit<ReleaseOptions, 'count'>,
  ): Promise<{ readonly histogram: NoisyHistogram; readonly redrawn: boolean }>
}
