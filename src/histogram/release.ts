// One release is a small state machine: count -> charge the ledger -> draw -> write aside -> commit its sha256 to the ledger
// -> rename = released. Nobody reads it earlier, and what was released gives the same bytes for ever. A crash between
// charge and commit draws again under the same charge, because the first draw was seen by no one; after the commit there is
// no second draw, in this folder, a copy of it, or another one of the same name.
//
// Why this is private: what is seen under one charge is one draw of one mechanism, so the composition over charges (Dong, Roth
// and Su, Corollary 3.3) is the composition over releases. Two draws under one charge would average the noise away, and a
// draw without a charge would not be in the sum; a crash at any single step leads to neither (test/histogram/crash.test.ts).
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { publish, readIfThere, writeSynced } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import {
  type Charge,
  charge,
  chargeOf,
  chargesIn,
  commit,
  commitOf,
  type LedgerTerms,
  readLedger,
  spentAlready,
} from '../privacy/ledger.ts'
import { type PrivateRandom, systemRandom } from '../privacy/private-random.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import type { ExactVotes } from './exact-votes.ts'
import { addNoise, type NoisyHistogram, noisyHistogramFrom, sigmaInSteps } from './noise.ts'

const Release = z.strictObject({
  format: z.literal('pretext-release'),
  version: z.literal(1),
  release: z.string(),
  /** Hash of the ledger entry that paid for this. */
  charge: z.string(),
  /** True if a crash lost the first draw before anybody could read it. */
  redrawn: z.boolean(),
  gridSteps: z.int().positive(),
  sigma: z.number().nonnegative(),
  steps: z.array(z.int()),
})

export type ReleaseFile = z.infer<typeof Release>

export interface ReleaseOptions {
  /** Where the release lies once it is released. */
  readonly file: string
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly charge: Charge & { readonly mechanism: ReleaseEvent }
  /** Counts the votes. Called only if the release is not there yet, and before anything is charged. */
  readonly count: () => Promise<ExactVotes>
  /** Tests of crashes put a failing step here; noise always comes from the system otherwise. */
  readonly random?: PrivateRandom
}

export async function readRelease(file: string): Promise<ReleaseFile | undefined> {
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  try {
    return Release.parse(JSON.parse(text))
  } catch (error) {
    throw new PretextError(`${file}: expected a release, got something else`, {
      code: 'data',
      hint: 'releases are written once and never edited; start a new run',
      cause: error,
    })
  }
}

/** The noisy histogram of one release, made now or read back, and whether it was drawn again after a crash. */
export async function releaseHistogram(
  options: ReleaseOptions,
): Promise<{ readonly histogram: NoisyHistogram; readonly redrawn: boolean }> {
  const aside = `${options.file}.part`
  const released = await readRelease(options.file)
  if (released !== undefined) {
    await checkPaid(options, released)
    return { histogram: noisyHistogramFrom(released), redrawn: released.redrawn }
  }
  // A release that the ledger already knows cannot be drawn again; it may only lack its name.
  const entries = await readLedger(options.ledger)
  const paid = chargeOf(entries, options.charge)
  const committed = paid === undefined ? undefined : commitOf(entries, paid)
  const drawn = await readIfThere(aside)
  if (paid !== undefined && (committed !== undefined || paidBy(drawn) === paid.hash)) {
    // Drawn whole before the crash: that draw is the release, and there is never another one.
    if (drawn === undefined || (committed ?? sha256Of(drawn)) !== sha256Of(drawn)) {
      await rm(aside, { force: true })
      throw spentAlready(paid)
    }
    await commit(options.ledger, paid, sha256Of(drawn))
    await publish(aside, options.file)
    return releaseHistogram(options)
  }
  await rm(aside, { force: true })
  const votes = await options.count()
  const { mechanism } = options.charge
  const factor = sensitivityFactor(options.terms.adjacency, 'non-negative')
  // Noise that cannot be drawn is refused while nothing has been paid.
  if (mechanism.type === 'gaussian') sigmaInSteps(mechanism.noiseMultiplier, factor, votes.bound)
  const { entry, repeated } = await charge(options.ledger, options.terms, options.charge)
  const histogram = addNoise(votes, mechanism, factor, options.random ?? systemRandom())
  const file: ReleaseFile = {
    format: 'pretext-release',
    version: 1,
    release: options.charge.release,
    charge: entry.hash,
    redrawn: repeated,
    gridSteps: histogram.gridSteps,
    sigma: histogram.sigma,
    steps: [...histogram.steps],
  }
  const bytes = `${JSON.stringify(file)}\n`
  await writeSynced(aside, bytes)
  try {
    await commit(options.ledger, entry, sha256Of(bytes))
  } catch (error) {
    // Another process released under this charge meanwhile: this draw must not stay where somebody could read it.
    if (error instanceof PretextError && error.code === 'ledger') await rm(aside, { force: true })
    throw error
  }
  await publish(aside, options.file)
  return { histogram, redrawn: repeated }
}

/** A released file must be the one that a charge of the ledger was spent on, byte for byte. */
async function checkPaid(options: ReleaseOptions, released: ReleaseFile): Promise<void> {
  const entries = await readLedger(options.ledger)
  const paid = chargesIn(entries).find((entry) => entry.hash === released.charge)
  if (paid === undefined) {
    throw new PretextError(`${options.file}: no entry of ${options.ledger} paid for this release`, {
      code: 'ledger',
      hint: 'restore the ledger that the run was started with',
    })
  }
  const bytes = await readIfThere(options.file)
  if (bytes === undefined || commitOf(entries, paid) !== sha256Of(bytes)) throw spentAlready(paid)
}

/** The charge that a whole draw cites; undefined for none, or a torn one. */
function paidBy(drawn: string | undefined): string | undefined {
  if (drawn === undefined) return undefined
  try {
    return Release.parse(JSON.parse(drawn)).charge
  } catch {
    return undefined
  }
}

function sha256Of(bytes: string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
