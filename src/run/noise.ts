// The privacy of a run before it starts: how many releases, with which noise, and what epsilon is spent after each.
import type { Config } from '../config/schema.ts'
import { PretextError } from '../errors.ts'
import { epsilonOf } from '../privacy/accountant.ts'
import { calibrateNoise } from '../privacy/calibration.ts'
import type { ReleaseEvent } from '../privacy/events.ts'
import { multiplierOfEach, type NoiseOfEach } from '../privacy/two-parties.ts'
import { type Adjacency, sensitivityFactor } from '../privacy/units.ts'

/** Beyond this the noise is smaller than what it should hide, and exact votes would come out in effect. */
const LARGEST_EPSILON = 1000

export interface NoisePlan {
  readonly mechanism: ReleaseEvent
  /** One for each round, and one more where label shares are measured. */
  readonly releases: number
  /** Epsilon of the whole run. */
  readonly epsilon: number
  /** Cumulative epsilon after the first `releases` of them. */
  readonly epsilonAfter: (releases: number) => number
  /** Of the whole run, against one of two servers that knows its own noise. */
  readonly epsilonOfOne: (each: NoiseOfEach) => number
  /** The same noise, read under the other adjacency. */
  readonly other: { readonly adjacency: Adjacency; readonly epsilon: number }
}

export function planNoise(config: Pick<Config, 'data' | 'privacy' | 'evolution'>): NoisePlan {
  const { data, privacy, evolution } = config
  const releases = evolution.rounds + (evolution.labels?.shares === 'measured' ? 1 : 0)
  const mechanism: ReleaseEvent =
    privacy.epsilon === Number.POSITIVE_INFINITY
      ? { type: 'exact' }
      : {
          type: 'gaussian',
          noiseMultiplier:
            privacy.noiseMultiplier ?? calibrateNoise(privacy.epsilon as number, privacy.delta, releases),
        }
  const spend = epsilonOf(
    Array.from({ length: releases }, () => mechanism),
    privacy.delta,
  )
  if (!data.simulation && spend > LARGEST_EPSILON) {
    throw new PretextError(
      `the run would spend epsilon ${spend.toPrecision(4)}, which protects nothing; private texts are released at ${LARGEST_EPSILON} at most`,
      {
        code: 'config',
        hint: 'use more noise, or declare the texts free for experiments with data.simulation: true',
      },
    )
  }
  const epsilonAfter = (count: number, scale = 1): number => {
    const event: ReleaseEvent =
      mechanism.type === 'exact'
        ? mechanism
        : { ...mechanism, noiseMultiplier: mechanism.noiseMultiplier * scale }
    return epsilonOf(
      Array.from({ length: count }, () => event),
      privacy.delta,
    )
  }
  const adjacency = privacy.adjacency === 'add-remove' ? 'substitution' : 'add-remove'
  // sigma stays; only the sensitivity that it is divided by changes.
  const scale =
    sensitivityFactor(privacy.adjacency, 'non-negative') / sensitivityFactor(adjacency, 'non-negative')
  return {
    mechanism,
    releases,
    epsilon: epsilonAfter(releases),
    epsilonAfter: (count) => epsilonAfter(count),
    epsilonOfOne: (each) => epsilonAfter(releases, multiplierOfEach(1, each)),
    other: { adjacency, epsilon: epsilonAfter(releases, scale) },
  }
}
