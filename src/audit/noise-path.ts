// The deployed noise path, taken apart where an audit can put a fault: clip -> sum -> noise, the functions and the class
// that a release runs. What is charged goes to a ledger in memory; the clients are made up, so nothing private is near.
import { setImmediate } from 'node:timers/promises'
import type { VoteBound, VoteOptions } from '../histogram/bound.ts'
import { clip } from '../histogram/clip.ts'
import { ExactVotes } from '../histogram/exact-votes.ts'
import { addNoise } from '../histogram/noise.ts'
import type { MechanismEvent } from '../privacy/events.ts'
import { systemRandom } from '../privacy/private-random.ts'
import { type Adjacency, sensitivityFactor } from '../privacy/units.ts'
import { type NeighbouringInputs, neighbouringInputs, type World } from './neighbouring-inputs.ts'

export interface NoisePath {
  readonly clip: typeof clip
  /** Where votes are summed; private, so that noise is never left out. */
  readonly sum: (candidates: number, bound: VoteBound) => ExactVotes
  readonly addNoise: typeof addNoise
}

/** What a release runs. */
export const deployedPath: NoisePath = {
  clip,
  sum: (candidates, bound) => new ExactVotes(candidates, bound, false),
  addNoise,
}

export interface Setting {
  readonly vote: VoteOptions
  readonly bound: VoteBound
  readonly adjacency: Adjacency
  readonly noiseMultiplier: number
  /** Releases that are composed. */
  readonly rounds: number
}

/** What one world showed over all rounds, for each pair of cells: sums of noisy votes less what the others voted. */
export interface Shown {
  /** The cell that the client votes for in the round, if it is there; summed over rounds. */
  readonly hit: Float64Array
  /** The other cell of the pair. */
  readonly other: Float64Array
}

export interface Step {
  readonly without: Shown
  readonly with: Shown
}

export interface PathRunner {
  readonly inputs: NeighbouringInputs
  /** Noise draws of one step in each world. */
  readonly draws: number
  /** Every release that was charged, in order. */
  readonly charged: readonly MechanismEvent[]
  /** All rounds once in both worlds, round by round, so that releases of the two worlds alternate. */
  step(): Promise<Step>
}

/** Makes the inputs and runs the path on them. RangeError where the sum refuses a vote that the clip let through. */
export function pathRunner(setting: Setting, path: NoisePath): PathRunner {
  const { bound, rounds, noiseMultiplier } = setting
  const factor = sensitivityFactor(setting.adjacency, 'non-negative')
  const mechanism: MechanismEvent = { type: 'gaussian', noiseMultiplier }
  const random = systemRandom()
  const inputs = neighbouringInputs(setting, path.clip)
  const charged: MechanismEvent[] = []
  const release = (world: World, round: number): readonly number[] => {
    const votes = path.sum(inputs.candidates, bound)
    for (const vote of inputs.votes(world, round)) votes.add(vote)
    charged.push(mechanism)
    return path.addNoise(votes, mechanism, factor, random).steps
  }
  return {
    inputs,
    draws: inputs.candidates * rounds,
    charged,
    async step() {
      await setImmediate()
      const shown = { without: emptyShown(inputs.pairs), with: emptyShown(inputs.pairs) }
      for (let t = 0; t < rounds; t++) {
        for (const world of ['without', 'with'] as const) add(shown[world], release(world, t), t, inputs)
      }
      return shown
    },
  }
}

function emptyShown(pairs: number): Shown {
  return {
    hit: new Float64Array(pairs),
    other: new Float64Array(pairs),
  }
}

function add(shown: Shown, steps: readonly number[], t: number, inputs: NeighbouringInputs): void {
  const { pairs, cellSize, known } = inputs
  const cell = (c: number): number => {
    let sum = -(known[c] as number)
    for (let i = c * cellSize; i < (c + 1) * cellSize; i++) sum += steps[i] as number
    return sum
  }
  for (let p = 0; p < pairs; p++) {
    const a = cell(2 * p)
    const b = cell(2 * p + 1)
    const [hit, other] = t % 2 === 0 ? [a, b] : [b, a]
    shown.hit[p] = (shown.hit[p] as number) + hit
    shown.other[p] = (shown.other[p] as number) + other
  }
}
