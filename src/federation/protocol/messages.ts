// What coordinator and clients tell each other in JSON, beside the manifest.
import * as z from 'zod/mini'
import { AggregationSchema, PROTOCOL, Sha256, TaskId, Time } from './manifest.ts'

const Base64Url = z.string().check(z.regex(/^[\w-]+$/))

export const ClientId = z
  .string()
  .check(z.regex(/^[0-9a-f]{64}$/), z.describe('sha256 of the Ed25519 public key'))

/** GET /v1/task: what one takes part in, in plain words, and which round is open. */
export const TaskSchema = z.strictObject({
  protocol: z.literal(PROTOCOL),
  task: TaskId,
  name: z.string(),
  aggregation: AggregationSchema,
  whoSeesAVote: z.string().check(z.describe('In plain words, for the screen of the client')),
  privacy: z.strictObject({
    epsilon: z.number().check(z.describe('Of all rounds together, at delta')),
    delta: z.number(),
    unit: z.literal('client'),
    adjacency: z.enum(['add-remove', 'substitution']),
    rounds: z.int(),
    minimumCohort: z.int(),
  }),
  labels: z
    .nullable(z.array(z.string()))
    .check(z.describe('The public list of labels, where each text needs one')),
  state: z
    .enum(['waiting', 'open', 'paused', 'draining', 'finished'])
    .check(z.describe('waiting: no round is open; look again after retryAfter')),
  round: z.nullable(
    z.strictObject({
      manifest: Sha256.check(z.describe('Names the round; GET /v1/rounds/{manifest}')),
      number: z.int(),
      deadline: Time,
    }),
  ),
  time: Time.check(z.describe('The coordinator’s clock')),
  retryAfter: z.int().check(z.nonnegative(), z.describe('Seconds after which to ask again')),
})

/** POST /v1/clients: a new client shows its one-time token and its key. The request is signed with that key. */
export const EnrolmentSchema = z.strictObject({
  token: Base64Url.check(z.minLength(22), z.maxLength(64)),
  publicKey: Base64Url.check(z.length(43), z.describe('Ed25519, 32 bytes')),
})

export const EnrolledSchema = z.strictObject({ client: ClientId, task: TaskId })

/** POST /v1/rounds/{manifest}/seat. */
export const SeatSchema = z.strictObject({ manifest: Sha256, client: ClientId })

/** PUT /v1/rounds/{manifest}/vote: sent once the vote is durable; the same for every upload of the same bytes. */
export const ReceiptSchema = z.strictObject({
  manifest: Sha256,
  client: ClientId,
  sha256: Sha256.check(z.describe('Of the counted upload')),
  received: Time,
})

/** GET /v1/rounds/{manifest}/state. */
export const RoundStateSchema = z.strictObject({
  manifest: Sha256,
  state: z.enum(['open', 'closed', 'released', 'refused']),
  release: z.nullable(Sha256).check(z.describe('GET /v1/blobs/{sha256}: the noisy histogram')),
})

/** PUT /v1/rounds/{manifest}/release at the helper. */
export const ReleaseRequestSchema = z.strictObject({
  count: z.int().check(z.nonnegative(), z.describe('Accepted reports')),
  checksum: Sha256.check(z.describe('Exclusive or of the sha256 of their ids')),
})

export const REFUSALS = {
  malformed: { status: 400, meaning: 'the request is not what the protocol asks for' },
  unsigned: { status: 401, meaning: 'the request has no valid signature of an enrolled client' },
  expired: { status: 401, meaning: 'the signature is too old, or from the future' },
  replayed: { status: 401, meaning: 'this very request was sent before' },
  'unknown-token': { status: 403, meaning: 'the enrolment token is not valid, or was used with another key' },
  forbidden: { status: 403, meaning: 'the operator’s token is missing or wrong' },
  'no-seat': { status: 403, meaning: 'the round has a limited number of seats, and the client took none' },
  'not-found': { status: 404, meaning: 'there is no such thing here' },
  'method-not-allowed': { status: 405, meaning: 'this path does not take this method' },
  'other-vote': { status: 409, meaning: 'another vote of this client was counted in this round' },
  'outdated-key': { status: 409, meaning: 'the vote is sealed to a key that is not used any more' },
  'other-terms': { status: 409, meaning: 'the round differs from what the helper’s operator agreed to' },
  'other-job': { status: 409, meaning: 'other reports came under this number before, or the sums differ' },
  'too-few': { status: 409, meaning: 'fewer valid votes than the minimum cohort' },
  'no-budget': { status: 409, meaning: 'the helper’s ledger does not allow this release' },
  'round-closed': { status: 410, meaning: 'the round takes no more votes' },
  'too-large': { status: 413, meaning: 'the body is larger than such a body can be' },
  'wrong-type': { status: 415, meaning: 'the body has another content type or encoding' },
  'bad-vote': { status: 422, meaning: 'the vote is not well-formed, or beyond its bound' },
  'no-seat-left': { status: 429, meaning: 'all seats of the round are taken' },
  'try-later': { status: 503, meaning: 'paused, draining or busy: ask again after Retry-After' },
  internal: { status: 500, meaning: 'the coordinator failed; nothing was counted' },
} as const

export type RefusalCode = keyof typeof REFUSALS

/** Every answer of 400 and above (RFC 9457, application/problem+json). */
export const ProblemSchema = z.strictObject({
  type: z.string().check(z.describe('urn:pretext:refusal:<code>')),
  title: z.string(),
  status: z.int(),
  code: z.enum(Object.keys(REFUSALS) as [RefusalCode, ...RefusalCode[]]),
  detail: z.optional(z.string()),
})

export type Task = z.output<typeof TaskSchema>
export type Receipt = z.output<typeof ReceiptSchema>
export type RoundState = z.output<typeof RoundStateSchema>
export type Problem = z.output<typeof ProblemSchema>
