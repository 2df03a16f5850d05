// What one client sends in two-server mode: a share of its vote for each aggregator with the proof, sealed to it by HPKE, and
// the client's signature. A vote is really sharded; the envelope around it has a fixed size.
import type { Config } from '../config/schema.ts'
import { voteOptions } from '../run/local-steps.ts'
import { multihotVdaf } from '../vdaf/multihot-vdaf.ts'
import { NONCE_SIZE } from '../vdaf/parameters.ts'

const HEAD = 8
const KEY_ID = 8
const HPKE_KEY_AND_TAG = 32 + 16
const PUBLIC_KEY = 32
const SIGNATURE = 64

export function twoServerBytes(config: Config, candidates: number): number {
  const { maxTextsPerClient, neighbours, maxCandidates } = voteOptions(config)
  const maxWeight = Math.min(maxCandidates ?? maxTextsPerClient * neighbours, candidates)
  const vdaf = multihotVdaf({ length: candidates, maxWeight })
  const vote = Array.from({ length: candidates }, (_, i) => i < maxWeight)
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE_SIZE))
  const { publicShare, inputShares } = vdaf.shard(vote, { context: new Uint8Array(0), nonce })
  const sealed = inputShares.reduce((sum, share) => sum + KEY_ID + HPKE_KEY_AND_TAG + share.length, 0)
  return HEAD + NONCE_SIZE + PUBLIC_KEY + SIGNATURE + publicShare.length + sealed
}
