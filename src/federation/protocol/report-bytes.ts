// A vote that nobody sees, on the wire (docs/protocol.md): a report holds a share of the vote for each aggregator, sealed to
// it. Every length follows from the manifest, so a report has one form. Loaded only where a round is of two servers.

import { bytesToHex as hex, hexToBytes as unhex } from '@noble/hashes/utils.js'
import { type MultihotVdaf, multihotVdaf } from '../../vdaf/multihot-vdaf.ts'
import { NONCE_SIZE } from '../../vdaf/parameters.ts'
import { sha256Hex, utf8 } from './bytes.ts'
import { type Manifest, PROTOCOL } from './manifest.ts'

export const REPORT_TYPE = 'application/vnd.pretext.report'

const KEY_ID = 8
const ENCAPSULATED = 32
const TAG = 16
const PUBLIC_KEY = 32
const SIGNATURE = 64

export type Role = 'leader' | 'helper'

/** What an aggregator's share travels in. */
export interface Sealed {
  readonly keyId: string
  /** HPKE: the encapsulated key, then the ciphertext. */
  readonly box: Uint8Array
}

/** What the helper gets of a report, from the leader. */
export interface HelperPart {
  /** 16 bytes: the nonce of the proof, never used twice. */
  readonly id: Uint8Array
  /** Ed25519 key of the client. */
  readonly client: Uint8Array
  /** Of the client, over `helperSigned`: the helper need not take the leader's word for who voted. */
  readonly signature: Uint8Array
  readonly publicShare: Uint8Array
  readonly helper: Sealed
}

export interface Report extends HelperPart {
  readonly leader: Sealed
}

/** A round as far as a report is bound to it. */
export interface ReportRound {
  readonly task: string
  /** sha256 of the manifest. */
  readonly hash: string
  readonly vdaf: MultihotVdaf
  /** Application context of the proof. */
  readonly context: Uint8Array
}

export function reportRound(manifest: Manifest, hash: string): ReportRound {
  const vdaf = voteVdaf(manifest)
  const { task } = manifest
  return { task, hash, vdaf, context: utf8([PROTOCOL, task, hash, vdaf.description].join('\n')) }
}

/** The proof system of a round: bits for its candidates, and as many ones as its bound allows. */
export function voteVdaf({ aggregation, candidates, vote }: Manifest): MultihotVdaf {
  if (aggregation.mode !== 'two-server') throw new RangeError('expected a round of two servers')
  const length = candidates.count
  const maxWeight = Math.min(Number(vote.boundSquared), length)
  const { multiproof } = aggregation
  const name = `${length} ${maxWeight} ${multiproof}`
  const vdaf = made.get(name) ?? multihotVdaf({ length, maxWeight, multiproof })
  if (made.size >= MADE_HELD) made.clear()
  made.set(name, vdaf)
  return vdaf
}

const MADE_HELD = 16
const made = new Map<string, MultihotVdaf>()

/** Authenticated beside each share: it can be opened in this round, by this role, in this report of this client alone. */
export function sealedWith(
  { task, hash }: ReportRound,
  role: Role,
  { id, client, publicShare }: Pick<HelperPart, 'id' | 'client' | 'publicShare'>,
): { readonly info: Uint8Array; readonly aad: Uint8Array } {
  const lines = [PROTOCOL, role, task, hash, hex(id), hex(client), sha256Hex(publicShare)]
  return { info: utf8(`${PROTOCOL} share for the ${role}`), aad: utf8(lines.join('\n')) }
}

/** What the client signs for the helper. */
export function helperSigned(
  { task, hash }: ReportRound,
  { id, publicShare, helper }: Pick<HelperPart, 'id' | 'publicShare' | 'helper'>,
): Uint8Array {
  const lines = [PROTOCOL, 'report', task, hash, hex(id), sha256Hex(publicShare), helper.keyId]
  return utf8([...lines, sha256Hex(helper.box)].join('\n'))
}

interface Field {
  readonly name: string
  readonly size: number
}

const boxSize = (share: number) => ENCAPSULATED + share + TAG

function helperFields({ sizes }: MultihotVdaf): Field[] {
  return [
    { name: 'id', size: NONCE_SIZE },
    { name: 'client', size: PUBLIC_KEY },
    { name: 'signature', size: SIGNATURE },
    { name: 'publicShare', size: sizes.publicShare },
    { name: 'helperKey', size: KEY_ID },
    { name: 'helperBox', size: boxSize(sizes.helperShare) },
  ]
}

function reportFields(vdaf: MultihotVdaf): Field[] {
  return [
    ...helperFields(vdaf),
    { name: 'leaderKey', size: KEY_ID },
    { name: 'leaderBox', size: boxSize(vdaf.sizes.leaderShare) },
  ]
}

const total = (fields: readonly Field[]) => fields.reduce((sum, { size }) => sum + size, 0)

const HEAD = Uint8Array.of(80, 84, 88, 82, 1, 0, 0, 0)

export function reportSize(vdaf: MultihotVdaf): number {
  return HEAD.length + total(reportFields(vdaf))
}

export function encodeReport(vdaf: MultihotVdaf, report: Report): Uint8Array {
  return joined([
    HEAD,
    ...partBytes(vdaf, report),
    unhex(report.leader.keyId),
    sized(report.leader.box, boxSize(vdaf.sizes.leaderShare)),
  ])
}

/** Throws RangeError where the bytes are not of a report's one form. */
export function decodeReport(vdaf: MultihotVdaf, bytes: Uint8Array): Report {
  if (bytes.length !== reportSize(vdaf))
    throw new RangeError(`expected a report of ${reportSize(vdaf)} bytes, got ${bytes.length}`)
  if (HEAD.some((byte, i) => bytes[i] !== byte)) throw new RangeError('expected a report of version 1')
  const read = reader(bytes, HEAD.length)
  return {
    ...readPart(vdaf, read),
    leader: { keyId: hex(read(KEY_ID)), box: read(boxSize(vdaf.sizes.leaderShare)) },
  }
}

const JOB_HEAD = Uint8Array.of(80, 84, 88, 74, 1, 0, 0, 0)
const ANSWER_HEAD = Uint8Array.of(80, 84, 88, 65, 1, 0, 0, 0)

/** One report of an aggregation job, with the leader's half of its verification. */
export interface JobItem extends HelperPart {
  readonly verifierShare: Uint8Array
}

export function jobItemSize(vdaf: MultihotVdaf): number {
  return total(helperFields(vdaf)) + vdaf.sizes.verifierShare
}

export function encodeJob(vdaf: MultihotVdaf, items: readonly JobItem[]): Uint8Array {
  return joined([
    JOB_HEAD,
    ...items.flatMap((item) => [
      ...partBytes(vdaf, item),
      sized(item.verifierShare, vdaf.sizes.verifierShare),
    ]),
  ])
}

/** Throws RangeError where the bytes are not those of a job. */
export function decodeJob(vdaf: MultihotVdaf, bytes: Uint8Array): JobItem[] {
  return items(bytes, JOB_HEAD, jobItemSize(vdaf), (read) => ({
    ...readPart(vdaf, read),
    verifierShare: read(vdaf.sizes.verifierShare),
  }))
}

/** What became of a report at the helper. Numbers never change meaning. */
export const OUTCOMES = ['accepted', 'seen', 'signature', 'unopened', 'malformed', 'proof'] as const
export type Outcome = (typeof OUTCOMES)[number]

export interface Answer {
  readonly outcome: Outcome
  /** The verifier message of an accepted report. */
  readonly message: Uint8Array
}

export function encodeAnswers(vdaf: MultihotVdaf, answers: readonly Answer[]): Uint8Array {
  const { verifierMessage } = vdaf.sizes
  return joined([
    ANSWER_HEAD,
    ...answers.flatMap(({ outcome, message }) => [
      Uint8Array.of(OUTCOMES.indexOf(outcome)),
      outcome === 'accepted' ? sized(message, verifierMessage) : new Uint8Array(verifierMessage),
    ]),
  ])
}

export function decodeAnswers(vdaf: MultihotVdaf, bytes: Uint8Array): Answer[] {
  return items(bytes, ANSWER_HEAD, 1 + vdaf.sizes.verifierMessage, (read) => {
    const outcome = OUTCOMES[read(1)[0] as number]
    if (outcome === undefined) throw new RangeError('expected an outcome of the protocol')
    return { outcome, message: read(vdaf.sizes.verifierMessage) }
  })
}

type Read = (size: number) => Uint8Array

function items<T>(bytes: Uint8Array, head: Uint8Array, size: number, one: (read: Read) => T): T[] {
  const count = (bytes.length - head.length) / size
  if (!Number.isInteger(count) || count < 0 || head.some((byte, i) => bytes[i] !== byte))
    throw new RangeError('expected whole reports of an aggregation job')
  const read = reader(bytes, head.length)
  return Array.from({ length: count }, () => one(read))
}

function partBytes(vdaf: MultihotVdaf, part: HelperPart): Uint8Array[] {
  const { id, client, signature, publicShare, helper } = part
  const bytes = [id, client, signature, publicShare, unhex(helper.keyId), helper.box]
  return helperFields(vdaf).map(({ size }, i) => sized(bytes[i] as Uint8Array, size))
}

function readPart({ sizes }: MultihotVdaf, read: Read): HelperPart {
  return {
    id: read(NONCE_SIZE),
    client: read(PUBLIC_KEY),
    signature: read(SIGNATURE),
    publicShare: read(sizes.publicShare),
    helper: { keyId: hex(read(KEY_ID)), box: read(boxSize(sizes.helperShare)) },
  }
}

/** Copies, so that a report does not keep alive what it was read from. */
function reader(bytes: Uint8Array, start: number): Read {
  let at = start
  return (size) => {
    at += size
    return bytes.slice(at - size, at)
  }
}

function sized(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length !== size) throw new RangeError(`expected ${size} bytes, got ${bytes.length}`)
  return bytes
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
