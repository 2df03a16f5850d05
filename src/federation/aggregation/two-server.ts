// Two-server aggregation, the leader's half (docs/protocol.md): this process holds one share of each vote, the helper the
// other; together they check the proofs and add up, and only sums are put together, after the helper added its noise.
//
// Why this is private: a share alone is uniformly random, so what the leader knows of the others' votes is the sum plus the
// helper's Gaussian noise, and what it releases has its own noise on top (of the full multiplier each, unless the two are
// trusted with half of it: privacy/two-parties.ts). Each adds its noise to its own share, modulo the field, and only then are
// the two put together. Nothing is made of the sum before: a helper may move its share as it likes, so a check of the range,
// or a sum that wraps around before the leader's noise is in, would tell it on which side of a line of its choice the votes are.
import { bytesToHex } from '@noble/hashes/utils.js'
import { PretextError } from '../../errors.ts'
import { voteBound } from '../../histogram/bound.ts'
import { provenVotes } from '../../histogram/exact-votes.ts'
import { sigmaOfEach } from '../../histogram/noise.ts'
import { releaseHistogram } from '../../histogram/release.ts'
import type { NoiseOfEach } from '../../privacy/two-parties.ts'
import { sensitivityFactor } from '../../privacy/units.ts'
import type { MultihotVdaf } from '../../vdaf/multihot-vdaf.ts'
import { type Clock, systemClock } from '../clock.ts'
import { Refusal } from '../coordinator/refusal.ts'
import type { AggregatorIdentity, SealingKeys } from '../protocol/aggregator.ts'
import { type Manifest, noiseOfEach } from '../protocol/manifest.ts'
import {
  decodeAnswers,
  decodeReport,
  encodeJob,
  REPORT_TYPE,
  reportRound,
  reportSize,
  voteVdaf,
} from '../protocol/report-bytes.ts'
import { clientIdOf } from '../protocol/signing.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'
import type { Store } from '../stores/store.ts'
import { isTaken, type KeyRing } from '../verification/aggregator-keys.ts'
import { type JobResult, joinedResults, type VerifyingRound } from '../verification/jobs.ts'
import type { Verifiers } from '../verification/verifiers.ts'
import type { Aggregation, ClosedRound } from './aggregation.ts'
import type { HelperConnection } from './helper-connection.ts'

export interface TwoServerOptions {
  readonly store: Store
  /** This coordinator's keys. */
  readonly keys: KeyRing
  readonly helper: HelperConnection
  readonly helperIdentity: AggregatorIdentity
  readonly verifiers: Verifiers
  readonly multiproof: boolean
  /** How much of the noise each of the two adds. */
  readonly noise: NoiseOfEach
  readonly clock?: Clock
  /** Reports in one aggregation job. */
  readonly jobSize?: number
}

export const JOB_SIZE = 256
/** So long the helper's keys may be remembered. */
const KEYS_FRESH_MS = 10_000

export async function twoServerAggregation(options: TwoServerOptions): Promise<Aggregation> {
  const { store, keys, helper, helperIdentity, verifiers, multiproof, noise } = options
  const { clock = systemClock, jobSize = JOB_SIZE } = options
  const own = await keys.current()
  const helperKeys = heldKeys(helper, clock)

  const verifyingRound = async ({
    hash,
    manifest,
  }: Pick<ClosedRound, 'hash' | 'manifest'>): Promise<VerifyingRound> => {
    const current = await keys.current()
    return {
      manifest,
      hash,
      verifyKey: current.verifyKey(helperIdentity, manifest.task),
      secrets: current.openingSecrets(clock.now()),
    }
  }

  /** Verifies what has not been yet: the same reports are the same job, so a crash at any point changes nothing. */
  const verified = async (closed: ClosedRound): Promise<JobResult> => {
    const { hash, manifest } = closed
    const round = await verifyingRound(closed)
    const { vdaf } = reportRound(manifest, hash)
    const done = new Set((await store.jobs(hash)).map(({ number }) => number))
    const running = new Set<Promise<void>>()
    const verify = async (number: number, uploads: readonly Uint8Array[]): Promise<void> => {
      const job = await verifiers.start(round, uploads)
      try {
        const answer = await helper.job(hash, number, encodeJob(vdaf, job.items))
        await store.putJob(hash, { number, ...(await job.finish(decodeAnswers(vdaf, answer))) })
      } catch (error) {
        job.abandon()
        throw error
      }
    }
    for await (const { number, uploads } of grouped(closed.uploads(), jobSize)) {
      if (done.has(number)) continue
      // One more than there are workers: while the helper works on one, the next is begun.
      while (running.size > verifiers.parallel) await Promise.race(running)
      const one: Promise<void> = verify(number, uploads).finally(() => running.delete(one))
      one.catch(() => {})
      running.add(one)
    }
    await Promise.all(running)
    return joinedResults(round, await store.jobs(hash))
  }

  return {
    terms: { mode: 'two-server', leader: own.identity.text, helper: helperIdentity.text, multiproof, noise },
    whoSeesAVote:
      'nobody sees a single vote: it is split between the coordinator and a second operator, the helper, who add up shares; only both of them together could put a vote together',
    contentType: REPORT_TYPE,
    largestUpload: (manifest) => reportSize(voteVdaf(manifest)),
    async check(upload, manifest, { hash, client }) {
      const round = reportRound(manifest, hash)
      const report = decodeReport(round.vdaf, upload)
      if (clientIdOf(report.client) !== client) throw new RangeError('the report is of another client')
      // What the client signed for the helper is left to the helper: the request is signed by the same client, over all of
      // this, and a report that spoils its own signature costs both servers less than one that spoils its proof.
      const now = clock.now()
      if (!(await keys.current()).takes(report.leader.keyId, now)) throw new Refusal('outdated-key')
      const taken = ({ keys }: SealingKeys) =>
        keys.some((key) => key.id === report.helper.keyId && isTaken(key, now))
      if (!taken(await helperKeys(false)) && !taken(await helperKeys(true))) throw new Refusal('outdated-key')
    },
    async keys() {
      return { leader: (await keys.current()).sealingKeys(clock.now()), helper: await helperKeys(false) }
    },
    announce: (hash, _, document) => helper.announce(hash, document),
    counted: async (round) => (await verified(round)).accepted,
    refused: ({ hash }) => helper.refuse(hash),
    async release(round, release) {
      const { hash, manifest } = round
      const released = await releaseHistogram({
        ...release,
        // With halves the leader's ledger holds what everybody else sees: what either server sees follows from it.
        charge: { ...release.charge, ...(noiseOfEach(manifest) === 'half' ? { against: 'outsiders' } : {}) },
        async count() {
          const vdaf = voteVdaf(manifest)
          const { share, accepted, checksum } = await verified(round)
          const noised = await helper.release(hash, {
            count: accepted,
            checksum: bytesToHex(checksum),
          })
          wholeShare(vdaf, noised)
          return provenVotes(voteBound(voteOptionsOf(manifest)), manifest.candidates.count, {
            sigma: sigmaOf(manifest),
            each: noiseOfEach(manifest),
            plus: (noise) => vdaf.unshardNoisy([vdaf.addIntegers(share, noise), noised]),
          })
        },
      })
      // After all noise, and the release: what this tells, everybody may know.
      if (released.histogram.steps.some((value) => Math.abs(value) === Number.MAX_SAFE_INTEGER)) {
        throw new PretextError('expected the helper’s share of these votes, got numbers that no votes have', {
          code: 'federation',
          hint: 'the release was charged and is worth nothing; ask the helper’s operator, and start a new run',
        })
      }
      return released
    },
  }
}

/** Throws PretextError where the bytes are of no share, which has nothing to do with the votes. */
function wholeShare(vdaf: MultihotVdaf, bytes: Uint8Array): void {
  try {
    vdaf.aggregate([bytes])
  } catch (cause) {
    throw new PretextError('expected a share of the sum from the helper, got other bytes', {
      code: 'federation',
      hint: 'nothing was released; both operators need the same version of pretext',
      cause,
    })
  }
}

/** Standard deviation of one aggregator's noise, in grid steps. */
function sigmaOf(manifest: Manifest): number {
  const { noise, vote } = manifest
  const factor = sensitivityFactor(noise.adjacency, 'non-negative')
  const bound = { steps: vote.gridSteps, squared: BigInt(vote.boundSquared) }
  const { numerator, denominator } = sigmaOfEach(noise.noiseMultiplier, factor, bound, noiseOfEach(manifest))
  return Number(numerator) / Number(denominator)
}

/**
 * The helper's keys. They are asked for again behind the back of whoever needs them, or, with `now`, before: a helper that is
 * away keeps nobody from voting while its signature holds.
 */
function heldKeys({ sealingKeys }: HelperConnection, clock: Clock): (now: boolean) => Promise<SealingKeys> {
  let held: { readonly at: number; readonly keys: SealingKeys } | undefined
  let asking: Promise<SealingKeys> | undefined
  const ask = (): Promise<SealingKeys> => {
    asking ??= sealingKeys()
      .then((keys) => {
        held = { at: clock.now(), keys }
        return keys
      })
      .finally(() => {
        asking = undefined
      })
    return asking
  }
  return async (now) => {
    const last = held !== undefined && clock.now() < held.keys.until ? held.keys : undefined
    const age = clock.now() - (held?.at ?? 0)
    if (last !== undefined && (!now || age < KEYS_FRESH_MS / 10)) {
      if (age >= KEYS_FRESH_MS) ask().catch(() => {})
      return last
    }
    return ask().catch(() => {
      if (last !== undefined) return last
      throw new Refusal('try-later', 'the helper does not answer', { 'retry-after': '5' })
    })
  }
}

async function* grouped(
  uploads: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ readonly number: number; readonly uploads: Uint8Array[] }> {
  let group: Uint8Array[] = []
  let number = 0
  for await (const upload of uploads) {
    group.push(upload)
    if (group.length < size) continue
    yield { number: number++, uploads: group }
    group = []
  }
  if (group.length > 0) yield { number, uploads: group }
}
