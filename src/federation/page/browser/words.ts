// What the page says, in plain words: what leaves, what it costs, and what that means.
import { epsilonOf } from '../../../privacy/accountant.ts'
import { analytic } from '../../../privacy/analytic.ts'
import { calibrate } from '../../../privacy/calibration.ts'
import type { Manifest, Task } from '../../client/browser.ts'

export function number(value: number): string {
  return value === 0 ? '0' : value >= 0.01 && value < 1000 ? value.toFixed(2) : value.toPrecision(3)
}

/** From an even guess to the most that anybody can be sure of: e^epsilon / (1 + e^epsilon), rounded up. */
export function mostSure(epsilon: number): number {
  return Math.min(100, Math.ceil(1000 / (1 + Math.exp(-epsilon))) / 10)
}

export function meaningOf(epsilon: number, delta: number, { adjacency }: Task['privacy']): string {
  if (!(epsilon > 0)) return 'Smaller is more private; common values lie between 0.5 and 10.'
  const guess =
    adjacency === 'add-remove' ? 'whether you took part at all' : 'which of two sets of texts is yours'
  return `With epsilon ${number(epsilon)}: whoever sees everything that is released, and began with an even guess ${guess}, can be at most ${mostSure(epsilon)} % sure afterwards. (Leaving aside a chance of ${delta}.)`
}

export function termsOf(task: Task, manifest: Manifest | undefined): [string, string][] {
  const { privacy, state } = task
  const { epsilon, delta, rounds, minimumCohort } = privacy
  const terms: [string, string][] = [
    ['Task', task.name],
    [
      'Rounds',
      manifest === undefined
        ? `${rounds}, ${STATES[state]}`
        : `${rounds}; round ${manifest.round} is open until ${new Date(manifest.deadline).toLocaleString()}`,
    ],
    ['Spend in all', `epsilon ${number(epsilon)} at delta ${delta}, if you vote in every round`],
  ]
  const one = epsilonOf([gaussian(manifest?.noise.noiseMultiplier ?? announcedNoise(task))], delta)
  terms.push([
    'Spend of a round',
    `epsilon ${number(one)} at delta ${delta}, taken alone${manifest === undefined ? ' (if all rounds are alike)' : ''}`,
  ])
  terms.push(
    [
      'Protected',
      privacy.adjacency === 'add-remove'
        ? 'all your texts together: whether you took part, and with what'
        : 'all your texts together: what you took part with (not whether you did)',
    ],
    ['People in a round', `at least ${minimumCohort}, or nothing is released`],
  )
  return terms
}

const gaussian = (noiseMultiplier: number) => ({ type: 'gaussian', noiseMultiplier }) as const

/** The noise of a round, if what was announced is shared out evenly. */
function announcedNoise({ privacy: { epsilon, delta, rounds } }: Task): number {
  return calibrate(analytic, { epsilon, delta }, (noiseMultiplier) => [
    { type: 'repeated', count: rounds, event: gaussian(noiseMultiplier) },
  ])
}

const STATES: Record<Task['state'], string> = {
  waiting: 'none is open now',
  open: 'one is open',
  paused: 'paused by the operator',
  draining: 'the open one is the last',
  finished: 'all are over',
}

export function leavingOf(manifest: Manifest | undefined): string[] {
  const each =
    manifest === undefined
      ? 'in each round: which of the coordinator’s candidate texts are nearest to yours, as numbers'
      : `in each round: which of ${manifest.candidates.count} candidate texts are nearest to yours (at most ${manifest.vote.maxTextsPerClient * manifest.vote.neighbours} numbers, a few dozen bytes)`
  return [
    each,
    'a key made for this task, your signature, and the time',
    'as with every web page: your network address',
  ]
}

export function bytesLeft(bytes: number): string {
  return bytes === 0 ? 'it had left before' : `${bytes} bytes left this device`
}
