// The noise path of two-server aggregation, as each of those sees it who could be curious. The sum lies in two shares that
// are uniform each; the helper adds noise to its own before it hands it over, the leader to what the two make together. Who
// knows one of the two noises sees the votes behind the other one alone, so each must reach the claim by itself.
import { PretextError } from '../errors.ts'
import { withNoise } from '../federation/helper/release-share.ts'
import { ExactVotes } from '../histogram/exact-votes.ts'
import { addNoise, sigmaInSteps } from '../histogram/noise.ts'
import { type PrivateRandom, systemRandom } from '../privacy/private-random.ts'
import { type MultihotVdaf, multihotVdaf } from '../vdaf/multihot-vdaf.ts'
import { deployedPath, type NoisePath } from './noise-path.ts'
import type { View } from './views.ts'

/** What each party does in a release; tests put a planted fault here. */
export interface Parties {
  readonly leader: typeof addNoise
  readonly helper: typeof withNoise
}

export const deployedParties: Parties = { leader: addNoise, helper: withNoise }

export function pathSeenBy(view: View, parties: Parties = deployedParties): NoisePath {
  if (view === 'coordinator') return deployedPath
  const vdafs = new Map<number, MultihotVdaf>()
  return {
    clip: deployedPath.clip,
    // The clients are made up: their exact sum may be split.
    sum: (candidates, bound) => new ExactVotes(candidates, bound, true),
    addNoise(votes, mechanism, factor, random) {
      const { candidates, bound } = votes
      if (bound.steps !== 1) {
        throw new PretextError(`expected multihot votes for the view of ${view}`, {
          code: 'config',
          hint: 'set histogram.vote to multihot: it is the vote that two servers can check',
        })
      }
      const vdaf =
        vdafs.get(candidates) ?? multihotVdaf({ length: candidates, maxWeight: Number(bound.squared) })
      vdafs.set(candidates, vdaf)
      const nobody = () => new ExactVotes(candidates, bound, true)
      const exact = addNoise(votes, { type: 'exact' }, factor, random)
      const [leader, helper] = twoShares(vdaf, exact.steps)
      if (mechanism.type === 'exact') throw new RangeError('expected Gaussian noise')
      const sigma = sigmaInSteps(mechanism.noiseMultiplier, factor, bound)
      // What the leader gets from the helper, and what everybody gets from the leader.
      const handed = vdaf.unshardNoisy([leader, parties.helper(vdaf, helper, sigma, random)])
      const leaders = parties.leader(nobody(), mechanism, factor, random)
      const released = handed.map((value, i) => value + (leaders.steps[i] as number))
      const seen =
        view === 'leader'
          ? handed
          : view === 'outsiders'
            ? released
            : // The helper knows what it added.
              released.map((value, i) => value - ((handed[i] as number) - (exact.steps[i] as number)))
      return { ...exact, steps: seen, sigma: Number(sigma.numerator) / Number(sigma.denominator) }
    },
  }
}

/** Sums as two shares: the second is uniform, the first is the rest. */
function twoShares(vdaf: MultihotVdaf, sums: readonly number[]): [Uint8Array, Uint8Array] {
  const random = systemRandom()
  const mask = sums.map(() => wide(random))
  const nothing = new Uint8Array(vdaf.sizes.aggregateShare)
  return [
    vdaf.addIntegers(
      nothing,
      sums.map((value, i) => BigInt(value) - (mask[i] as bigint)),
    ),
    vdaf.addIntegers(nothing, mask),
  ]
}

/** 160 bits: modulo a field of 128 they are uniform but for 2^-32. */
function wide(random: PrivateRandom): bigint {
  let value = 0n
  for (let i = 0; i < 5; i++) value = (value << 32n) | BigInt(random.word())
  return value
}
