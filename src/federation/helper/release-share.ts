// The helper's half of a release: exact rounded Gaussian noise on its share of the sum (of the full multiplier, or half of its
// variance: privacy/two-parties.ts), charged to the helper's own ledger, drawn once and kept for ever (histogram/release-once.ts).
//
// Why this is private: adding modulo the field commutes with putting shares together, so the leader learns the integer sum plus
// this noise and nothing else: the Gaussian mechanism against the leader, whatever the leader itself adds or leaves out.
import { z } from 'zod'
import { voteBound } from '../../histogram/bound.ts'
import { sigmaOfEach } from '../../histogram/noise.ts'
import { releaseOnce } from '../../histogram/release-once.ts'
import type { LedgerTerms } from '../../privacy/ledger.ts'
import { type PrivateRandom, systemRandom } from '../../privacy/private-random.ts'
import { type Rational, roundedGaussian } from '../../privacy/rounded-gaussian.ts'
import { multiplierOfEach } from '../../privacy/two-parties.ts'
import { sensitivityFactor } from '../../privacy/units.ts'
import type { MultihotVdaf } from '../../vdaf/multihot-vdaf.ts'
import { fromBase64Url, toBase64Url } from '../protocol/bytes.ts'
import { type Manifest, noiseOfEach } from '../protocol/manifest.ts'
import { voteVdaf } from '../protocol/report-bytes.ts'
import { voteOptionsOf } from '../protocol/vote-terms.ts'

const ShareFile = z.strictObject({
  format: z.literal('pretext-share'),
  version: z.literal(1),
  manifest: z.string(),
  /** Hash of the ledger entry that paid for this. */
  charge: z.string(),
  redrawn: z.boolean(),
  count: z.int().nonnegative(),
  checksum: z.string(),
  share: z.string(),
})

type ShareFile = z.infer<typeof ShareFile>

export interface ShareRelease {
  readonly file: string
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly manifest: Manifest
  /** sha256 of the manifest. */
  readonly hash: string
  /** What the leader says was accepted, in the file for a second asking. */
  readonly count: number
  readonly checksum: string
  /** The sum of accepted output shares. Called only if the release is not there yet. */
  readonly share: () => Promise<Uint8Array>
  readonly random?: PrivateRandom
}

/** The noised share: the same bytes for ever. */
export async function releaseShare(
  options: ShareRelease,
): Promise<ShareFile & { readonly bytes: Uint8Array }> {
  const { manifest, hash, count, checksum, terms } = options
  const { noiseMultiplier } = manifest.noise
  const each = noiseOfEach(manifest)
  const vdaf = voteVdaf(manifest)
  const text = await releaseOnce({
    file: options.file,
    ledger: options.ledger,
    terms,
    charge: {
      run: manifest.run,
      release: `round-${manifest.round}`,
      // What this helper's noise alone is worth: the leader knows its own.
      mechanism: { type: 'gaussian', noiseMultiplier: multiplierOfEach(noiseMultiplier, each) },
      ...(each === 'half' ? { against: 'operators' } : {}),
    },
    parse: (written) => parse(vdaf, written),
    async prepare() {
      const factor = sensitivityFactor(terms.adjacency, 'non-negative')
      const sigma = sigmaOfEach(noiseMultiplier, factor, voteBound(voteOptionsOf(manifest)), each)
      const share = await options.share()
      const random = options.random ?? systemRandom()
      return ({ entry, repeated }) => {
        const file: ShareFile = {
          format: 'pretext-share',
          version: 1,
          manifest: hash,
          charge: entry.hash,
          redrawn: repeated,
          count,
          checksum,
          share: toBase64Url(withNoise(vdaf, share, sigma, random)),
        }
        return `${JSON.stringify(file)}\n`
      }
    },
  })
  return parse(vdaf, text)
}

/** A share with a draw of its own for each candidate; the audit measures it. */
export function withNoise(
  vdaf: MultihotVdaf,
  share: Uint8Array,
  sigma: Rational,
  random: PrivateRandom,
): Uint8Array {
  const noise = Array.from({ length: vdaf.length }, () => roundedGaussian(sigma, random))
  return vdaf.addIntegers(share, noise)
}

/** Throws where this is not a whole file, or has no share of this round's sum: such a one is never released. */
function parse(vdaf: MultihotVdaf, text: string): ShareFile & { readonly bytes: Uint8Array } {
  const file = ShareFile.parse(JSON.parse(text))
  const bytes = vdaf.aggregate([fromBase64Url(file.share) ?? new Uint8Array(0)])
  return { ...file, bytes }
}
