// Mechanisms as data, apart from the accountants that read them. Meanings of the fields never change (a ledger is read
// for years): new mechanisms get a new `type`.
//
// Every noiseMultiplier is relative to the sensitivity under the adjacency that the ledger entry (or the caller of an
// accountant) names: for votes bounded by l2Bound, sigma / (l2Bound x sensitivityFactor(adjacency, ...)).
import { PretextError } from '../errors.ts'

/** One noised sum: Gaussian noise with sigma = noiseMultiplier x L2 sensitivity, every client present (q = 1). */
export interface GaussianEvent {
  readonly type: 'gaussian'
  /** sigma divided by the L2 sensitivity under the adjacency that the ledger entry names. > 0. */
  readonly noiseMultiplier: number
}

/** A noised integer sum: discrete Gaussian noise on each coordinate, sigma = noiseMultiplier x L2 sensitivity. */
export interface DiscreteGaussianEvent {
  readonly type: 'discreteGaussian'
  /** The parameter sigma (not the standard deviation, which is smaller) divided by the L2 sensitivity. > 0. */
  readonly noiseMultiplier: number
}

/** A noised sum: Laplace noise on each coordinate, scale = noiseMultiplier x L1 sensitivity. */
export interface LaplaceEvent {
  readonly type: 'laplace'
  /** Scale divided by the L1 sensitivity: the event is (1 / noiseMultiplier, 0)-DP. > 0. */
  readonly noiseMultiplier: number
}

/** A release without noise. Only simulation texts can pay for one: its epsilon is infinite. */
export interface ExactEvent {
  readonly type: 'exact'
}

/** Each client takes part by its own secret coin. Amplifies only against those who do not see who took part. */
export interface PoissonSampledEvent {
  readonly type: 'poissonSampled'
  /** Probability that a client takes part, in [0, 1]. */
  readonly rate: number
  readonly event: MechanismEvent
}

/** A cohort of fixed size, drawn uniformly without replacement and kept secret. Under substitution adjacency. */
export interface FixedSizeSampledEvent {
  readonly type: 'fixedSizeSampled'
  /** Cohort size divided by the number of clients, in [0, 1]. */
  readonly rate: number
  readonly event: MechanismEvent
}

/** The same event `count` times, each on the same clients with noise of its own. */
export interface RepeatedEvent {
  readonly type: 'repeated'
  /** A positive integer. */
  readonly count: number
  readonly event: MechanismEvent
}

/** Several events, one after the other. */
export interface ComposedEvent {
  readonly type: 'composed'
  readonly events: readonly MechanismEvent[]
}

/** Something that was done to private data, and what it costs. */
export type MechanismEvent =
  | GaussianEvent
  | DiscreteGaussianEvent
  | LaplaceEvent
  | ExactEvent
  | PoissonSampledEvent
  | FixedSizeSampledEvent
  | RepeatedEvent
  | ComposedEvent

/** What the release of a histogram is charged as: every client present, Gaussian noise or (simulations) none. */
export type ReleaseEvent = GaussianEvent | ExactEvent

/** An event that stands for itself: no `repeated`, no `composed`; sampled events hold one of these. */
export type SimpleEvent = Exclude<MechanismEvent, RepeatedEvent | ComposedEvent>

/** Checks the numbers of an event and everything inside it. Throws PretextError `config`. */
export function checkEvent(event: MechanismEvent): void {
  switch (event.type) {
    case 'exact':
      return
    case 'gaussian':
    case 'discreteGaussian':
    case 'laplace':
      if (!(event.noiseMultiplier > 0)) {
        throw wrong(`noiseMultiplier must be greater than 0, got ${event.noiseMultiplier}`)
      }
      return
    case 'poissonSampled':
    case 'fixedSizeSampled':
      if (!(event.rate >= 0 && event.rate <= 1)) {
        throw wrong(`a sampling rate must lie between 0 and 1, got ${event.rate}`)
      }
      checkEvent(event.event)
      return
    case 'repeated':
      if (!(Number.isSafeInteger(event.count) && event.count > 0)) {
        throw wrong(`the number of releases must be a positive integer, got ${event.count}`)
      }
      checkEvent(event.event)
      return
    case 'composed':
      for (const part of event.events) checkEvent(part)
      return
    default:
      throw wrong(`expected a mechanism event, got type ${JSON.stringify((event as { type: unknown }).type)}`)
  }
}

function wrong(message: string): PretextError {
  return new PretextError(message, { code: 'config' })
}
