// The helper's rounds: shown, verified in jobs, released once or refused. The leader may send anything again at any time, and
// after a crash of either; whatever it sends, a report counts once, and noise is drawn once.
import { join } from 'node:path'
import { bytesToHex } from '@noble/hashes/utils.js'
import { PretextError } from '../../errors.ts'
import type { LedgerTerms } from '../../privacy/ledger.ts'
import type { PrivateRandom } from '../../privacy/private-random.ts'
import { type Clock, systemClock } from '../clock.ts'
import { Refusal } from '../coordinator/refusal.ts'
import type { AggregatorIdentity } from '../protocol/aggregator.ts'
import { sha256Hex } from '../protocol/bytes.ts'
import { type Manifest, parseManifest } from '../protocol/manifest.ts'
import { type Answer, decodeJob, encodeAnswers, jobItemSize, voteVdaf } from '../protocol/report-bytes.ts'
import type { KeyRing } from '../verification/aggregator-keys.ts'
import { type JobResult, joinedResults } from '../verification/jobs.ts'
import type { Verifiers } from '../verification/verifiers.ts'
import { type AgreedTerms, disagreement } from './agreed-terms.ts'
import type { HelperStore, SeenReport } from './helper-store.ts'
import { releaseShare } from './release-share.ts'

export interface HelperRoundsOptions {
  readonly store: HelperStore
  readonly keys: KeyRing
  readonly leader: AggregatorIdentity
  readonly agreed: AgreedTerms
  readonly verifiers: Verifiers
  /** Folder of the released shares. */
  readonly releases: string
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly clock?: Clock
  /** Tests put a failing step here. */
  readonly random?: PrivateRandom
}

export interface HelperRounds {
  readonly store: HelperStore
  announce(hash: string, document: Uint8Array): Promise<void>
  /** Largest body of a job. */
  largestJob(hash: string): Promise<number>
  job(hash: string, number: number, body: Uint8Array): Promise<Uint8Array>
  release(hash: string, sums: { readonly count: number; readonly checksum: string }): Promise<Uint8Array>
  refuse(hash: string): Promise<void>
  /** Forgets what its leader left; also done with each round that is shown. */
  tidy(): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
}

/** Reports in a job. */
const LARGEST_JOB = 1024

const DAY_MS = 86_400_000
/** A round that its leader left is forgotten so long after its deadline: no share lies about for ever. */
const ABANDONED_MS = 7 * DAY_MS
/** Whatever deadline a leader names, it counts as no later than this after the round was shown. */
const LONGEST_ROUND_MS = 31 * DAY_MS

/**
 * What a leader that begins rounds and leaves them can make this process keep. One that keeps to the protocol has one round at a
 * time, and a few more where it died between showing a round and opening it: the oldest give way, and nobody is kept out.
 */
export const MOST_OPEN = 4
/** Jobs of a round: each keeps a share of the sum of its reports. */
export const MOST_JOBS = 1024
/** Refused rounds that are remembered, by name alone. */
export const MOST_REFUSED = 1000

export function helperRounds(options: HelperRoundsOptions): HelperRounds {
  const { store, keys, leader, agreed, verifiers } = options
  const { clock = systemClock } = options
  const oneAtATime = oneLane()

  const roundOf = async (hash: string) => {
    const round = await store.round(hash)
    if (round === undefined) throw new Refusal('not-found')
    if (round.state === 'refused') throw new Refusal('round-closed')
    return { state: round.state, manifest: parseManifest(round.document, hash) }
  }

  const forgetAbandoned = async (): Promise<void> => {
    for (const manifest of await store.abandoned(clock.now() - ABANDONED_MS, MOST_OPEN))
      await store.endRound(manifest, 'refused')
    await store.forgetRefused(MOST_REFUSED)
  }

  /** The results of a round that is not over, put together. */
  const sumOf = async (manifest: Manifest, hash: string): Promise<JobResult> =>
    joinedResults({ manifest, hash }, await store.results(hash))

  const answer = async (hash: string, number: number, body: Uint8Array): Promise<Uint8Array> => {
    const { state, manifest } = await roundOf(hash)
    if (state !== 'open') throw new Refusal('round-closed')
    const sha256 = sha256Hex(body)
    const before = await store.job(hash, number)
    if (before !== undefined) {
      if (before.sha256 !== sha256) throw new Refusal('other-job')
      return before.answer
    }
    if ((await store.jobCount(hash)) >= MOST_JOBS)
      throw new Refusal('too-large', `expected at most ${MOST_JOBS} jobs of a round`)
    const vdaf = voteVdaf(manifest)
    const items = decodeItems(manifest, body)
    const named = items.map(
      (item): SeenReport => ({ report: bytesToHex(item.id), client: bytesToHex(item.client) }),
    )
    const known = new Set(await store.seen(hash, named))
    const fresh = items.map((_, i) => {
      const { report, client } = named[i] as SeenReport
      const first = !known.has(report) && !known.has(client)
      known.add(report).add(client)
      return first
    })
    const current = await keys.current()
    const round = {
      manifest,
      hash,
      verifyKey: current.verifyKey(leader, manifest.task),
      secrets: current.openingSecrets(clock.now()),
    }
    const { answers, result } = await verifiers.answer(
      round,
      items.filter((_, i) => fresh[i]),
    )
    let next = 0
    const all = fresh.map(
      (first): Answer =>
        first ? (answers[next++] as Answer) : { outcome: 'seen', message: new Uint8Array(0) },
    )
    // What its client did not sign was not looked into, and must not keep the client's own report out.
    const seen = named.filter((_, i) => fresh[i] === true && all[i]?.outcome !== 'signature')
    const bytes = encodeAnswers(vdaf, all)
    await store.putJob(hash, { number, sha256, answer: bytes, result }, seen)
    return bytes
  }

  return {
    store,
    async announce(hash, document) {
      const manifest = readManifest(document, hash)
      const difference = disagreement(manifest, agreed)
      if (difference !== undefined) throw new Refusal('other-terms', difference)
      await oneAtATime(async () => {
        const at = clock.now()
        const deadline = Math.min(manifest.deadline, at + LONGEST_ROUND_MS)
        await store.addRound({ manifest: hash, document, deadline, at })
        await forgetAbandoned()
      })
    },
    async largestJob(hash) {
      const { manifest } = await roundOf(hash)
      return 8 + LARGEST_JOB * jobItemSize(voteVdaf(manifest))
    },
    job: (hash, number, body) => oneAtATime(() => answer(hash, number, body)),
    release: (hash, sums) =>
      oneAtATime(async () => {
        const { manifest } = await roundOf(hash)
        try {
          const released = await releaseShare({
            file: join(options.releases, `${hash}.json`),
            ledger: options.ledger,
            terms: options.terms,
            manifest,
            hash,
            ...sums,
            async share() {
              const { share, accepted, checksum } = await sumOf(manifest, hash)
              if (accepted !== sums.count || bytesToHex(checksum) !== sums.checksum)
                throw new Refusal('other-job', 'the reports that the two aggregators accepted differ')
              if (accepted < agreed.cohort.minimum) throw new Refusal('too-few')
              return share
            },
            ...(options.random === undefined ? {} : { random: options.random }),
          })
          if (released.count !== sums.count || released.checksum !== sums.checksum)
            throw new Refusal('other-job', 'this round was released with other reports')
          await store.endRound(hash, 'released')
          return released.bytes
        } catch (error) {
          if (error instanceof PretextError && ['budget', 'ledger'].includes(error.code))
            throw new Refusal(
              'no-budget',
              error.code === 'budget' ? 'the budget is spent' : 'the ledger refuses it',
            )
          throw error
        }
      }),
    refuse: (hash) =>
      // One that was never shown is forgotten already.
      oneAtATime(() => store.endRound(hash, 'refused')),
    tidy: () => oneAtATime(forgetAbandoned),
    idle: () => oneAtATime(async () => {}),
  }
}

function readManifest(document: Uint8Array, hash: string): Manifest {
  try {
    return parseManifest(document, hash)
  } catch (error) {
    if (error instanceof PretextError) throw new Refusal('malformed', error.message)
    throw error
  }
}

function decodeItems(manifest: Manifest, body: Uint8Array) {
  try {
    return decodeJob(voteVdaf(manifest), body)
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal('malformed', error.message)
    throw error
  }
}

/** Runs what it is given one after the other. */
function oneLane(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return (work) => {
    const next = last.then(work, work)
    last = next
    return next
  }
}
