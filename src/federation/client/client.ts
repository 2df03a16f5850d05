// A client of a federation, the same in Node and in a browser: fetch, clock, storage, ledger and embedder come in. It
// checks each round against its owner's policy and its own ledger, votes with its own texts, and never sends two different
// votes for one round: charge -> keep the bytes -> send, and after a crash the kept bytes are what is sent.
import type { Embedder } from '../../embeddings/embedder.ts'
import { PretextError } from '../../errors.ts'
import type { Vote } from '../../histogram/clip.ts'
import { epsilonOf } from '../../privacy/accountant.ts'
import { type Clock, systemClock } from '../clock.ts'
import { KeysSchema } from '../protocol/aggregator.ts'
import { fromUtf8, sha256Hex, toBase64Url, utf8 } from '../protocol/bytes.ts'
import { decodeCandidates } from '../protocol/candidate-bytes.ts'
import { embedderIdentityHash, type Manifest, noiseOfEach, parseManifest } from '../protocol/manifest.ts'
import {
  EnrolledSchema,
  type Problem,
  type Receipt,
  ReceiptSchema,
  type Task,
  TaskSchema,
} from '../protocol/messages.ts'
import { encodeVote, SALT_BYTES } from '../protocol/vote-bytes.ts'
import { type Connection, connect, jittered, refusedError, systemJitter } from './connection.ts'
import type { ClientIdentity } from './identity.ts'
import { type OwnTexts, ownVoter } from './own-vote.ts'
import {
  type Check,
  type ClientPolicy,
  checksOf,
  mechanismOf,
  releaseOf,
  type Spend,
  spendWith,
} from './policy.ts'
import {
  type ClientLedger,
  type ClientStorage,
  identityFor,
  keepNewestKey,
  keepReceipt,
  keepUpload,
  keptVote,
  newestKey,
  pinHelper,
  pinnedHelper,
  type Upload,
} from './state.ts'

export type ClientEvent =
  | { readonly type: 'task'; readonly task: Task }
  | { readonly type: 'waiting'; readonly state: Task['state']; readonly seconds: number }
  /** Nothing has left yet; `spend` is what it will have been. */
  | {
      readonly type: 'round'
      readonly manifest: Manifest
      readonly spend: Spend
      readonly checks: readonly Check[]
    }
  | {
      readonly type: 'refused'
      readonly manifest: Manifest
      readonly reasons: readonly string[]
      readonly checks: readonly Check[]
    }
  | {
      readonly type: 'voted'
      readonly manifest: Manifest
      readonly receipt: Receipt
      /** Bytes of the vote that left; 0 where it had left before. */
      readonly bytes: number
      readonly epsilon: number
    }
  | { readonly type: 'missed'; readonly manifest: Manifest; readonly problem: Problem }
  | { readonly type: 'finished'; readonly epsilon: number }

export interface FederatedClientOptions {
  readonly server: string
  readonly policy: ClientPolicy
  readonly embedder: Pick<Embedder, 'identity' | 'embed'>
  readonly storage: ClientStorage
  readonly ledger: ClientLedger
  readonly fetch?: typeof fetch
  readonly clock?: Clock
  readonly patienceMs?: number
  readonly onRetry?: (why: string, seconds: number) => void
  readonly jitter?: () => number
  readonly signal?: AbortSignal
}

export interface FederatedClient {
  /** What one would take part in; sends nothing of one's own. */
  task(): Promise<Task>
  /** Shows a one-time token; does nothing where this client is enrolled already. */
  enrol(token: string): Promise<void>
  enrolled(): Promise<boolean>
  /** Takes part until the task is finished, or in `rounds` rounds; ends early with `refused`. */
  participate(own: OwnTexts, options?: { readonly rounds?: number }): AsyncGenerator<ClientEvent>
}

const PATIENCE_MS = 600_000
const UPLOAD_TYPES = {
  trusted: 'application/octet-stream',
  'two-server': 'application/vnd.pretext.report',
} as const

export function createFederatedClient(options: FederatedClientOptions): FederatedClient {
  const { storage, ledger, policy, embedder, signal } = options
  const clock = options.clock ?? systemClock
  const jitter = options.jitter ?? systemJitter
  const connection = connect({
    jitter,
    server: options.server,
    fetch: options.fetch ?? fetch,
    clock,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    ...(options.onRetry === undefined ? {} : { onRetry: options.onRetry }),
    ...(signal === undefined ? {} : { signal }),
  })
  const embedderHash = embedderIdentityHash(embedder.identity)

  /** What whoever takes part was told: a coordinator that said once that there are two servers is held to it. */
  let shown: Manifest['aggregation']['mode'] = 'trusted'

  const task = async (): Promise<Task> => {
    const answer = await connection.call({ method: 'GET', path: '/v1/task' })
    if (!answer.ok) throw refusedError(answer.problem)
    const found = understood(answer.bytes, TaskSchema)
    connection.setClockOffset(found.time - clock.now())
    if (found.aggregation.mode === 'two-server') shown = 'two-server'
    return found
  }
  const spent = async () => epsilonOf(await ledger.charged(), policy.delta)

  /** The vote as a report of two sealed shares; a report that was made before is sealed anew. */
  const sealed = async (
    manifest: Manifest,
    hash: string,
    identity: ClientIdentity,
    from: { readonly vote: Vote } | { readonly shares: string },
  ): Promise<Upload> => {
    const { sealReport, sharesFrom, sharesText, shareVote } = await import('./shares.ts')
    const shares = 'vote' in from ? shareVote(manifest, hash, from.vote) : sharesFrom(from.shares)
    if (shares === undefined) throw notUnderstood()
    const answer = await connection.call({ method: 'GET', path: '/v1/keys' })
    if (!answer.ok) throw refusedError(answer.problem)
    const keys = understood(answer.bytes, KeysSchema)
    const newest = {
      leader: await newestKey(storage, keys.leader.identity),
      helper: await newestKey(storage, keys.helper.identity),
    }
    const bytes = await sealReport(manifest, hash, shares, { keys, identity, now: clock.now(), newest })
    for (const each of [keys.leader, keys.helper]) await keepNewestKey(storage, each)
    return { bytes, shares: sharesText(shares) }
  }
  const sendVote = (hash: string, upload: Upload, manifest: Manifest, identity: ClientIdentity) =>
    connection.call({
      method: 'PUT',
      path: `/v1/rounds/${hash}/vote`,
      body: upload.bytes,
      contentType: UPLOAD_TYPES[manifest.aggregation.mode],
      signer: { identity, task: manifest.task },
    })

  /** Everything from a manifest to a receipt. */
  async function* takePart(
    hash: string,
    taskId: string,
    voter: ReturnType<typeof ownVoter>,
  ): AsyncGenerator<ClientEvent> {
    const manifest = parseManifest(await connection.blob(hash), hash)
    const identity = await identityFor(storage, taskId)
    const kept = await keptVote(storage, hash)
    let upload: Upload | undefined =
      kept?.upload === undefined ? undefined : { bytes: kept.upload, shares: kept.shares }
    const { aggregation } = manifest
    // What was kept is held against the policy too: its owner may agree to less by now.
    const charged = await ledger.has(taskId, releaseOf(manifest))
    const spend = charged
      ? { before: await spent(), after: await spent() }
      : spendWith(await ledger.charged(), manifest, policy.delta)
    const helper = await pinnedHelper(storage, taskId)
    const checks = checksOf(manifest, policy, { task: taskId, embedderHash, spend, helper, shown })
    const reasons = checks.flatMap(({ objection }) => (objection === undefined ? [] : [objection]))
    if (reasons.length > 0) {
      yield { type: 'refused', manifest, reasons, checks }
      return
    }
    if (upload === undefined) {
      yield { type: 'round', manifest, spend, checks }
      const seat =
        manifest.cohort.seats === null ? undefined : await takeSeat(connection, hash, identity, taskId)
      if (seat !== undefined) {
        yield { type: 'missed', manifest, problem: seat }
        return
      }
      const { sha256, ...shape } = manifest.candidates
      const candidates = decodeCandidates(await connection.blob(sha256), shape)
      const vote = await voter.vote(manifest, candidates)
      if (aggregation.mode === 'two-server') await pinHelper(storage, taskId, aggregation.helper)
      upload =
        aggregation.mode === 'trusted'
          ? { bytes: encodeVote(vote, crypto.getRandomValues(new Uint8Array(SALT_BYTES))) }
          : await sealed(manifest, hash, identity, { vote })
      const against = noiseOfEach(manifest) === 'half' ? 'operators' : undefined
      await ledger.charge(taskId, releaseOf(manifest), mechanismOf(manifest), against)
      await keepUpload(storage, hash, upload)
    }
    let answer = await sendVote(hash, upload, manifest, identity)
    if (!answer.ok && answer.problem.code === 'outdated-key' && upload.shares !== undefined) {
      // A key was changed meanwhile: the same report under the new one, once.
      upload = await sealed(manifest, hash, identity, { shares: upload.shares })
      await keepUpload(storage, hash, upload)
      answer = await sendVote(hash, upload, manifest, identity)
    }
    if (!answer.ok) {
      yield { type: 'missed', manifest, problem: answer.problem }
      return
    }
    const receipt = understood(answer.bytes, ReceiptSchema)
    if (
      receipt.sha256 !== sha256Hex(upload.bytes) ||
      receipt.manifest !== hash ||
      receipt.client !== identity.client
    )
      throw notUnderstood()
    await keepReceipt(storage, receipt)
    yield { type: 'voted', manifest, receipt, bytes: upload.bytes.length, epsilon: await spent() }
  }

  return {
    task,
    async enrolled() {
      return (await storage.get(`enrolled-${(await task()).task}`)) !== undefined
    },
    async enrol(token) {
      const { task: id } = await task()
      if ((await storage.get(`enrolled-${id}`)) !== undefined) return
      const identity = await identityFor(storage, id)
      const body = utf8(JSON.stringify({ token, publicKey: toBase64Url(identity.publicKey) }))
      const answer = await connection.call({
        method: 'POST',
        path: '/v1/clients',
        body,
        contentType: 'application/json',
        signer: { identity, task: id },
      })
      if (!answer.ok) throw refusedError(answer.problem)
      if (understood(answer.bytes, EnrolledSchema).client !== identity.client) throw notUnderstood()
      await storage.set(`enrolled-${id}`, identity.client)
    },
    async *participate(own, { rounds = Number.POSITIVE_INFINITY } = {}) {
      const voter = ownVoter(own, embedder)
      const first = await task()
      yield { type: 'task', task: first }
      /** Rounds that are over for this client, whatever came of them. */
      const done = new Set<string>()
      let voted = 0
      let last = false
      const next = async (): Promise<Task | undefined> => {
        try {
          return await task()
        } catch (error) {
          // A coordinator that is gone after the last round has finished.
          if (last && error instanceof PretextError && signal?.aborted !== true) return undefined
          throw error
        }
      }
      for (let found: Task | undefined = first; found !== undefined; found = await next()) {
        if (found.task !== first.task) throw notUnderstood()
        const open = found.round?.manifest
        if (found.state === 'finished' || voted >= rounds) break
        if (open !== undefined && !done.has(open) && found.state !== 'paused') {
          const before = await keptVote(storage, open)
          done.add(open)
          if (before?.receipt !== undefined) {
            voted++
            continue
          }
          for await (const event of takePart(open, found.task, voter)) {
            yield event
            if (event.type === 'voted') {
              voted++
              last = event.manifest.round === event.manifest.rounds
            }
            if (event.type === 'refused') return
            if (event.type === 'missed' && ['unsigned', 'unknown-token'].includes(event.problem.code))
              throw refusedError(event.problem)
          }
          continue
        }
        const seconds = jittered(Math.max(1, found.retryAfter), jitter())
        yield { type: 'waiting', state: found.state, seconds }
        await clock.sleep(seconds * 1000, signal)
      }
      yield { type: 'finished', epsilon: await spent() }
    },
  }
}

/** The problem, where there was no seat. */
async function takeSeat(
  connection: Connection,
  hash: string,
  identity: ClientIdentity,
  task: string,
): Promise<Problem | undefined> {
  const answer = await connection.call({
    method: 'POST',
    path: `/v1/rounds/${hash}/seat`,
    body: utf8('{}'),
    contentType: 'application/json',
    signer: { identity, task },
  })
  return answer.ok ? undefined : answer.problem
}

interface Parser<T> {
  safeParse(value: unknown): { success: true; data: T } | { success: false }
}

function understood<T>(bytes: Uint8Array, schema: Parser<T>): T {
  try {
    const parsed = schema.safeParse(JSON.parse(fromUtf8(bytes)))
    if (parsed.success) return parsed.data
  } catch {
    // Said below: what came may not be quoted.
  }
  throw notUnderstood()
}

function notUnderstood(): PretextError {
  return new PretextError('expected an answer of the federation protocol, got something else', {
    code: 'federation',
    hint: 'check the address (--server); it may be another program, or another version of pretext',
  })
}
