// The release of a histogram: its votes are counted, noise is added, and it is released once (release-once.ts).
import { z } from 'zod'
import { readIfThere } from '../durable.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import type { Charge, LedgerTerms } from '../privacy/ledger.ts'
import { type PrivateRandom, systemRandom } from '../privacy/private-random.ts'
import { sensitivityFactor } from '../privacy/units.ts'
import { type ExactVotes, noiseBefore } from './exact-votes.ts'
import { addNoise, type NoisyHistogram, noisyHistogramFrom, sigmaOfEach } from './noise.ts'
import { noRelease, releaseOnce } from './release-once.ts'

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

const parse = (text: string): ReleaseFile => Release.parse(JSON.parse(text))

export async function readRelease(file: string): Promise<ReleaseFile | undefined> {
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  try {
    return parse(text)
  } catch (error) {
    throw noRelease(file, error)
  }
}

/** The noisy histogram of one release, made now or read back, and whether it was drawn again after a crash. */
export async function releaseHistogram(
  options: ReleaseOptions,
): Promise<{ readonly histogram: NoisyHistogram; readonly redrawn: boolean }> {
  const { mechanism, release } = options.charge
  const factor = sensitivityFactor(options.terms.adjacency, 'non-negative')
  const bytes = await releaseOnce({
    ...options,
    parse,
    async prepare() {
      const votes = await options.count()
      // Noise that cannot be drawn is refused while nothing has been paid.
      if (mechanism.type === 'gaussian')
        sigmaOfEach(mechanism.noiseMultiplier, factor, votes.bound, noiseBefore(votes)?.each ?? 'full')
      return ({ entry, repeated }) => {
        const histogram = addNoise(votes, mechanism, factor, options.random ?? systemRandom())
        const file: ReleaseFile = {
          format: 'pretext-release',
          version: 1,
          release,
          charge: entry.hash,
          redrawn: repeated,
          gridSteps: histogram.gridSteps,
          sigma: histogram.sigma,
          steps: [...histogram.steps],
        }
        return `${JSON.stringify(file)}\n`
      }
    },
  })
  const file = parse(bytes)
  return { histogram: noisyHistogramFrom(file), redrawn: file.redrawn }
}
