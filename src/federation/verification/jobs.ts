// The work of verification, without a network or a database: opens shares, checks proofs and adds up what holds (VDAF draft,
// section 7.2.2). A report that does not hold is left out by both; which one that was is told to the other aggregator alone.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { RejectedReport } from '../../vdaf/rejection.ts'
import type { Verification, VerifyState } from '../../vdaf/verify.ts'
import { toBase64Url } from '../protocol/bytes.ts'
import type { Manifest } from '../protocol/manifest.ts'
import {
  type Answer,
  decodeReport,
  type HelperPart,
  helperSigned,
  type JobItem,
  type Outcome,
  type ReportRound,
  type Role,
  reportRound,
  type Sealed,
  sealedWith,
} from '../protocol/report-bytes.ts'
import { type OpeningSecret, openingKey } from './aggregator-keys.ts'
import { type OpeningKey, openSealed } from './open-sealed.ts'

/** What a worker needs to know of a round; plain data. */
export interface VerifyingRound {
  readonly manifest: Manifest
  readonly hash: string
  readonly verifyKey: Uint8Array
  readonly secrets: ReadonlyMap<string, OpeningSecret>
}

/** The sum of the output shares of accepted reports, and which those were. */
export interface JobResult {
  readonly share: Uint8Array
  readonly accepted: number
  /** Exclusive or of the sha256 of their ids. */
  readonly checksum: Uint8Array
}

interface Verifier {
  readonly round: ReportRound
  readonly verifyKey: Uint8Array
  readonly keys: ReadonlyMap<string, OpeningKey>
}

function verifierOf({ manifest, hash, verifyKey, secrets }: VerifyingRound): Verifier {
  const keys = new Map([...secrets].map(([id, secret]) => [id, openingKey(secret)]))
  return { round: reportRound(manifest, hash), verifyKey, keys }
}

const AGGREGATOR: Readonly<Record<Role, number>> = { leader: 0, helper: 1 }

/** This aggregator's half of a report's verification, or why there is none. */
function initialise(
  { round, verifyKey, keys }: Verifier,
  role: Role,
  part: HelperPart,
  { keyId, box }: Sealed,
): Verification | Outcome {
  const key = keys.get(keyId)
  const inputShare = key === undefined ? undefined : openSealed(key, box, sealedWith(round, role, part))
  if (inputShare === undefined) return 'unopened'
  const { vdaf, context } = round
  const { id: nonce, publicShare } = part
  const aggregator = AGGREGATOR[role]
  try {
    const own = vdaf.verifyInit({ verifyKey, context, aggregator, nonce, publicShare, inputShare })
    // The public share repeats each aggregator's part of the joint randomness. One that lies about the other's part fails
    // there; each checks its own now, so that both come to one answer.
    const size = vdaf.sizes.verifierMessage
    const claimed = publicShare.subarray(aggregator * size, (aggregator + 1) * size)
    return Buffer.compare(claimed, own.verifierShare.subarray(-size)) === 0 ? own : 'malformed'
  } catch (error) {
    if (error instanceof RejectedReport) return 'malformed'
    throw error
  }
}

export interface Pending {
  readonly id: Uint8Array
  readonly state: VerifyState
}

export interface StartedJob {
  /** For the helper; reports that the leader rejects are not in it. */
  readonly items: readonly JobItem[]
  /** To be kept, and told nobody, until the helper's answer is there; in the order of `items`. */
  readonly pending: readonly Pending[]
}

/** The leader's first half: uploads become the items of an aggregation job. The same uploads give the same items. */
export function startJob(round: VerifyingRound, uploads: readonly Uint8Array[]): StartedJob {
  const verifier = verifierOf(round)
  const started = uploads.flatMap((upload) => {
    const { leader, ...part } = decodeReport(verifier.round.vdaf, upload)
    const own = initialise(verifier, 'leader', part, leader)
    return typeof own === 'string' ? [] : [{ part, own }]
  })
  return {
    items: started.map(({ part, own }) => ({ ...part, verifierShare: own.verifierShare })),
    pending: started.map(({ part, own }) => ({ id: part.id, state: own.state })),
  }
}

/** The leader's second half. Throws where the helper did not keep to the protocol. */
export function finishJob(
  round: VerifyingRound,
  pending: readonly Pending[],
  answers: readonly Answer[],
): JobResult {
  if (answers.length !== pending.length)
    throw new RangeError('expected one answer for each report of the job')
  const { vdaf } = reportRound(round.manifest, round.hash)
  const accepted = pending.flatMap(({ id, state }, i) => {
    const { outcome, message } = answers[i] as Answer
    return outcome === 'accepted' ? [{ id, share: vdaf.verifyNext(state, message) }] : []
  })
  return resultOf(round, accepted)
}

/** All of the helper's work on reports that it sees for the first time. */
export function answerJob(
  round: VerifyingRound,
  items: readonly JobItem[],
): { readonly answers: readonly Answer[]; readonly result: JobResult } {
  const verifier = verifierOf(round)
  const { vdaf, context } = verifier.round
  const accepted: { readonly id: Uint8Array; readonly share: Uint8Array }[] = []
  const answers = items.map((item): Answer => {
    const refused = (outcome: Outcome): Answer => ({ outcome, message: new Uint8Array(0) })
    if (!signedByClient(verifier.round, item)) return refused('signature')
    const own = initialise(verifier, 'helper', item, item.helper)
    if (typeof own === 'string') return refused(own)
    try {
      const message = vdaf.verifierSharesToMessage(context, [item.verifierShare, own.verifierShare])
      accepted.push({ id: item.id, share: vdaf.verifyNext(own.state, message) })
      return { outcome: 'accepted', message }
    } catch (error) {
      if (error instanceof RejectedReport) return refused('proof')
      throw error
    }
  })
  return { answers, result: resultOf(round, accepted) }
}

/** Whether the client whose key this is made the report. */
function signedByClient(round: ReportRound, part: HelperPart): boolean {
  let key: KeyObject
  try {
    const x = toBase64Url(part.client)
    key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  } catch {
    return false
  }
  return verify(null, helperSigned(round, part), key, part.signature)
}

function resultOf(
  { manifest, hash }: VerifyingRound,
  accepted: readonly { readonly id: Uint8Array; readonly share: Uint8Array }[],
): JobResult {
  const { vdaf } = reportRound(manifest, hash)
  return {
    share: vdaf.aggregate(accepted.map(({ share }) => share)),
    accepted: accepted.length,
    checksum: checksumOf(accepted.map(({ id }) => createHash('sha256').update(id).digest())),
  }
}

/** The results of several jobs as one. */
export function joinedResults(
  round: Pick<VerifyingRound, 'manifest' | 'hash'>,
  results: readonly JobResult[],
): JobResult {
  const { vdaf } = reportRound(round.manifest, round.hash)
  return {
    share: vdaf.aggregate(results.map(({ share }) => share)),
    accepted: results.reduce((sum, { accepted }) => sum + accepted, 0),
    checksum: checksumOf(results.map(({ checksum }) => checksum)),
  }
}

function checksumOf(hashes: readonly Uint8Array[]): Uint8Array {
  const sum = new Uint8Array(32)
  for (const hash of hashes) for (let i = 0; i < 32; i++) sum[i] = (sum[i] as number) ^ (hash[i] as number)
  return sum
}
