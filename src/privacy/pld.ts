// Privacy loss distributions, as a certificate: the number printed is a bound whatever the lattice, the truncation and the
// rounding were. Sommer, Meiser and Mohammadi (PETS 2019) and Koskela, Jalko and Honkela (AISTATS 2020) for the method;
// why each step bounds is said where it happens: loss-pairs.ts (the pair of distributions), loss-grid.ts (the lattice, from
// above and from below), tilted-sum.ts (the composition).
//
// The width of a cell: connecting the dots adds at most about theta (theta + 1) step^2 / 12 to each log-moment, so
// T (theta + 1) step^2 / 12 to epsilon. The step is chosen to make that ACCURACY x epsilon, and the bound from below tells
// afterwards how far it went. Composition is of a fixed sequence of events: no filter for adaptively chosen ones.
import type { Accountant } from './accountant.ts'
import type { MechanismEvent } from './events.ts'
import { falsePosition } from './false-position.ts'
import { type LossMasses, lossCells, lossesAbove, lossesBelow } from './loss-grid.ts'
import { isSymmetric, lossPair } from './loss-pairs.ts'
import type { Direction } from './sampled-gaussian.ts'
import { adjacencyRefusal, hasExact, nameOf, refused, type Term, termsOf } from './terms.ts'
import { type LossSum, logMoment, type Summand, tiltedSum, type Window } from './tilted-sum.ts'
import { type Adjacency, checkDelta } from './units.ts'

const ACCURACY = 1e-6
const MOST_CELLS = 2 ** 21
const MOST_POINTS = 2 ** 20
/** Cells of the first look at a mechanism. */
const ROUGH = 500
/** Mass beyond the computed range, where no delta is given to compare it with: the smallest delta that is answered. */
const TAIL = 1e-20

export interface Bounds {
  /** The truth is not below this, ... */
  readonly lower: number
  /** ... and not above this: the guarantee. */
  readonly upper: number
}

export const pld: Accountant = {
  name: 'pld',
  method: 'privacy loss distribution (certified upper bound)',
  filters: false,
  refusal: (events, adjacency = 'add-remove') => refusalOf(termsOf(events), adjacency),
  epsilon: (events, delta, adjacency = 'add-remove') =>
    epsilonFrom(events, delta, adjacency, ['above']).upper,
  delta: (events, epsilon, adjacency = 'add-remove') =>
    deltaFrom(events, epsilon, adjacency, ['above']).upper,
}

type Side = 'above' | 'below'

/** Both bounds on epsilon at delta: events of a fixed sequence, worst direction. */
export function pldEpsilon(
  events: Iterable<MechanismEvent>,
  delta: number,
  adjacency: Adjacency = 'add-remove',
): Bounds {
  return epsilonFrom(events, delta, adjacency, ['above', 'below'])
}

/** Both bounds on delta at epsilon >= 0. */
export function pldDelta(
  events: Iterable<MechanismEvent>,
  epsilon: number,
  adjacency: Adjacency = 'add-remove',
): Bounds {
  return deltaFrom(events, epsilon, adjacency, ['above', 'below'])
}

function epsilonFrom(
  events: Iterable<MechanismEvent>,
  delta: number,
  adjacency: Adjacency,
  sides: readonly Side[],
): Bounds {
  checkDelta(delta)
  const terms = checked(events, adjacency)
  if (terms.length === 0) return { lower: 0, upper: 0 }
  if (hasExact(terms)) return { lower: Number.POSITIVE_INFINITY, upper: Number.POSITIVE_INFINITY }
  return worst(terms, sides, (direction, side) => solveEpsilon(terms, direction, delta, side))
}

function deltaFrom(
  events: Iterable<MechanismEvent>,
  epsilon: number,
  adjacency: Adjacency,
  sides: readonly Side[],
): Bounds {
  const terms = checked(events, adjacency)
  if (terms.length === 0) return { lower: 0, upper: 0 }
  if (hasExact(terms)) return { lower: 1, upper: 1 }
  return worst(terms, sides, (direction, side) => {
    const rough = roughly(terms, direction, TAIL)
    const at = saddle(rough, (theta) => rough.logMoment(theta) - theta * epsilon)
    // Far above all losses nothing is left to sum; the moments of the rough lattice, which is one from above, bound it.
    const chernoff = Math.min(1, Math.exp(at.value) + TAIL)
    if (chernoff < 2 * TAIL) return side === 'above' ? chernoff : 0
    const sum = sumAround(terms, direction, rough, epsilon, at.theta, side)
    return sum.delta(epsilon, side)
  })
}

function worst(
  terms: readonly Term[],
  sides: readonly Side[],
  solve: (direction: Direction, side: Side) => number,
): Bounds {
  const directions: readonly Direction[] = terms.every(({ event }) => isSymmetric(event))
    ? ['remove']
    : ['remove', 'add']
  const largest = (side: Side): number =>
    sides.includes(side) ? Math.max(...directions.map((direction) => solve(direction, side))) : 0
  return { lower: largest('below'), upper: largest('above') }
}

function checked(events: Iterable<MechanismEvent>, adjacency: Adjacency): readonly Term[] {
  const terms = termsOf(events)
  const refusal = refusalOf(terms, adjacency)
  if (refusal !== undefined) throw refused('pld', refusal)
  return joinGaussians(terms)
}

function refusalOf(terms: readonly Term[], adjacency: Adjacency): string | undefined {
  if (hasExact(terms)) return undefined
  for (const { event } of terms) {
    const known =
      event.type === 'gaussian' ||
      event.type === 'laplace' ||
      (event.type === 'poissonSampled' && event.event.type === 'gaussian')
    if (!known) return `expected gaussian, laplace or gaussian in poissonSampled, got ${nameOf(event)}`
  }
  return adjacencyRefusal(terms, adjacency)
}

/** Gaussian releases compose to one without loss (analytic.ts): one transform instead of many. */
function joinGaussians(terms: readonly Term[]): readonly Term[] {
  let inverse = 0
  const rest: Term[] = []
  for (const term of terms) {
    if (term.event.type === 'gaussian') inverse += term.count / term.event.noiseMultiplier ** 2
    else rest.push(term)
  }
  if (inverse === 0) return rest
  return [...rest, { event: { type: 'gaussian', noiseMultiplier: 1 / Math.sqrt(inverse) }, count: 1 }]
}

/** Moments on a coarse lattice: good enough to choose the tilt, the window and the step; nothing rests on them. */
interface Rough {
  readonly logMoment: (tilt: number) => number
  readonly releases: number
  /** The longest range of losses of one release. */
  readonly range: number
  readonly width: number
  readonly atoms: boolean
}

function roughly(terms: readonly Term[], direction: Direction, tail: number): Rough {
  const releases = terms.reduce((sum, { count }) => sum + count, 0)
  // Standard deviations beyond which the normal tail is below `tail` / releases.
  const width = Math.sqrt(-2 * Math.log(tail / releases)) + 0.5
  let range = 0
  const summands = terms.map(({ event, count }): Summand => {
    const pair = pairOf(event, direction, width)
    const step = Math.max((pair.loss(pair.high) - pair.loss(pair.low)) / ROUGH, 1e-300)
    range = Math.max(range, ROUGH * step)
    return { masses: lossesAbove(lossCells(pair, step)), count }
  })
  return {
    logMoment: (tilt) =>
      summands.reduce((sum, { masses, count }) => sum + count * logMoment(masses, tilt), 0),
    releases,
    range,
    width,
    atoms: terms.every(({ event }) => event.type === 'laplace'),
  }
}

function pairOf(event: Term['event'], direction: Direction, width: number) {
  const pair = lossPair(event, direction, width)
  if (pair === undefined) throw refused('pld', `got ${nameOf(event)}`)
  return pair
}

/** The tilt that makes a bound smallest, among e^t. */
function saddle(rough: Rough, bound: (theta: number) => number): { theta: number; value: number } {
  const highest = Math.log(300 / rough.range) + 3
  let best = { t: 0, value: Number.POSITIVE_INFINITY }
  let step = 0.5
  const look = (t: number): void => {
    const value = bound(Math.exp(t))
    if (value < best.value) best = { t, value }
  }
  for (let t = -3; t <= Math.max(0, highest); t += step) look(t)
  for (; step > 0.01; step /= 2) {
    const { t } = best
    look(t - step / 2)
    look(t + step / 2)
  }
  return { theta: Math.exp(best.t), value: best.value }
}

function solveEpsilon(terms: readonly Term[], direction: Direction, delta: number, side: Side): number {
  const rough = roughly(terms, direction, delta * 1e-9)
  const start = saddle(
    rough,
    (theta) =>
      (rough.logMoment(theta) - Math.log(delta)) / theta -
      Math.log1p(theta) * (1 + 1 / theta) +
      Math.log(theta),
  )
  let centre = Math.max(0, start.value)
  let { theta } = start
  for (let attempt = 0; ; attempt++) {
    const sum = sumAround(terms, direction, rough, centre, theta, side, attempt > 0)
    const low = Math.max(0, sum.low)
    if (sum.delta(low, side) <= delta) {
      if (low === 0) return 0
      centre = low
    } else if (sum.delta(sum.high, side) > delta) {
      centre = sum.high
    } else return bracket(sum, low, delta, side)
    if (attempt === 20) return side === 'above' ? Number.POSITIVE_INFINITY : 0
    theta = saddle(rough, (t) => rough.logMoment(t) - t * centre).theta
  }
}

/** The end on the safe side of the truth. */
function bracket(sum: LossSum, low: number, delta: number, side: Side): number {
  const over = (epsilon: number): number => Math.log(sum.delta(epsilon, side) / delta)
  const ends = falsePosition(
    over,
    { low, atLow: over(low), high: sum.high, atHigh: over(sum.high) },
    (high) => 1e-10 * high,
  )
  return side === 'above' ? ends.high : ends.low
}

function sumAround(
  terms: readonly Term[],
  direction: Direction,
  rough: Rough,
  centre: number,
  theta: number,
  side: Side,
  wider = false,
): LossSum {
  const window = windowAround(rough, centre, theta)
  const wide = window.below + window.above
  const scale = Math.max(centre, wide / 30)
  let step = Math.sqrt((12 * ACCURACY * scale) / (rough.releases * (theta + 1)))
  step = Math.max(
    Math.min(step, side === 'below' ? scale / 5000 : step, wide / 2048, rough.range / 1000),
    wide / MOST_POINTS,
    rough.range / MOST_CELLS,
  )
  // A finer lattice may reach a little further than the rough one, by a cell for each release.
  const room = wide + (wider ? rough.releases * step : 0)
  const size = 2 ** Math.ceil(Math.log2(room / step + 2))
  // The cycle has room left over: a finer step fills it. Whole cells on each side of 0 leave no atom between two points.
  step = Math.max(room / (size - 2), rough.range / MOST_CELLS)
  if (rough.atoms) step = rough.range / (2 * Math.ceil(rough.range / (2 * step)))
  const summands = terms.map(({ event, count }): Summand => {
    const cells = lossCells(pairOf(event, direction, rough.width), step)
    const masses: LossMasses = side === 'above' ? lossesAbove(cells) : lossesBelow(cells)
    return { masses, count }
  })
  return tiltedSum(summands, window, size)
}

/** How far the tilted sum spreads: beyond the window lies less than e^-35 of it, by Chernoff's bound. */
function windowAround(rough: Rough, centre: number, theta: number): Window {
  const atTheta = rough.logMoment(theta)
  let above = { width: Number.POSITIVE_INFINITY, tilt: 0 }
  let below = { width: Number.POSITIVE_INFINITY, tilt: 0 }
  for (let t = Math.log(theta) - 8; t < Math.log(theta + 1) + 8; t += 0.5) {
    const tilt = Math.exp(t)
    const up = (rough.logMoment(theta + tilt) - atTheta + 35) / tilt - centre
    if (up < above.width) above = { width: up, tilt }
    const down = (rough.logMoment(theta - tilt) - atTheta + 35) / tilt + centre
    if (down < below.width) below = { width: down, tilt: -tilt }
  }
  return {
    centre,
    theta,
    above: above.width,
    below: below.width,
    tiltAbove: above.tilt,
    tiltBelow: below.tilt,
  }
}
