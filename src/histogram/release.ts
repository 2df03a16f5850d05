// One release is a small state machine: count -> charge the ledger -> draw -> write aside -> rename = released. Nobody
// reads it earlier, and what was released gives the same bytes for ever. A crash between charge and rename draws again
// under the same charge, because the first draw was seen by no one (design rule 4.5).
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { type Charge, charge, type LedgerTerms, readLedger } from '../privacy/ledger.ts'
import { type PrivateRandom, systemRandom } from '../privacy/private-random.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import type { ExactVotes } from './exact-votes.ts'
import { addNoise, type NoisyHistogram, noisyHistogramFrom } from './noise.ts'

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
  readonly charge: Charge
  /** Counts the votes. Called only if the release is not there yet, and before anything is charged. */
  readonly count: () => Promise<ExactVotes>
  /** Tests of crashes put a failing step here; noise always comes from the system otherwise. */
  readonly random?: PrivateRandom
}

export async function readRelease(file: string): Promise<ReleaseFile | undefined> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
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
  const released = await readRelease(options.file)
  if (released !== undefined) {
    const entries = await readLedger(options.ledger)
    if (!entries.some((entry) => entry.hash === released.charge)) {
      throw new PretextError(`${options.file}: no entry of ${options.ledger} paid for this release`, {
        code: 'ledger',
        hint: 'restore the ledger that the run was started with',
      })
    }
    return { histogram: noisyHistogramFrom(released), redrawn: released.redrawn }
  }
  const votes = await options.count()
  const { entry, repeated } = await charge(options.ledger, options.terms, options.charge)
  const histogram = addNoise(
    votes,
    options.charge.mechanism,
    sensitivityFactor(options.terms.adjacency, 'non-negative'),
    options.random ?? systemRandom(),
  )
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
  await writeDurable(options.file, `${JSON.stringify(file)}\n`)
  return { histogram, redrawn: repeated }
}
