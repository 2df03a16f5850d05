// pretext/vdaf: sums of votes that nobody sees. Prio3 of the VDAF draft, revision 20, for Node and browsers; docs/vdaf.md.

export type { Sizes } from './codec.ts'
export {
  prio3Count,
  prio3Histogram,
  prio3L1BoundSum,
  prio3MultihotCountVec,
  prio3MultihotCountVecWithMultiproof,
  prio3Sum,
  prio3SumVec,
  prio3SumVecWithMultiproof,
} from './instances.ts'
export { type MultihotVdaf, type MultihotVdafOptions, multihotVdaf } from './multihot-vdaf.ts'
export { NONCE_SIZE } from './parameters.ts'
export type { Prio3 } from './prio3.ts'
export { RejectedReport, type RejectionReason } from './rejection.ts'
export type { Sharded, ShardInput } from './shard.ts'
export { type Soundness, soundness } from './soundness.ts'
export type { Verification, VerifyInput, VerifyState } from './verify.ts'
