// pretext/privacy: differential privacy accounting on its own, with exact noise and a ledger. Nothing private inside.
//
// Events say what was released, accountants bound what that costs:
//
//   const events = [{ type: 'repeated', count: 11, event: { type: 'gaussian', noiseMultiplier: 11.3 } }]
//   epsilonOf(events, 3e-6)                                                   1.188956
//   calibrate(rdp, { epsilon: 1, delta: 1e-5 }, (noiseMultiplier) => [...])   the smallest noise, rounded toward privacy
//
// Units: epsilon and divergences in nats; delta in (0, 1); noiseMultiplier is the noise divided by the sensitivity under
// the adjacency that is named. Everything that is refused throws PretextError with a `code` and a `hint`.
export {
  ACCOUNTANT,
  ACCOUNTANTS,
  type Accountant,
  type AccountantName,
  type Answer,
  account,
  composedMu,
  epsilonOf,
  filterEpsilon,
} from './accountant.ts'
export { analytic } from './analytic.ts'
export { calibrate, calibrateNoise, type Target } from './calibration.ts'
export { discreteGaussian } from './discrete-gaussian.ts'
export { discreteLaplace } from './discrete-laplace.ts'
export {
  type ComposedEvent,
  checkEvent,
  type DiscreteGaussianEvent,
  type ExactEvent,
  type FixedSizeSampledEvent,
  type GaussianEvent,
  type LaplaceEvent,
  type MechanismEvent,
  type PoissonSampledEvent,
  type ReleaseEvent,
  type RepeatedEvent,
  type SimpleEvent,
} from './events.ts'
export { gaussianDelta, gaussianEpsilon, gaussianMu } from './gaussian.ts'
export {
  type Budget,
  type Charge,
  type ChargeEntry,
  charge,
  chargesIn,
  type LedgerEntry,
  type LedgerTerms,
  readLedger,
  spentEpsilon,
} from './ledger.ts'
export { type Bounds, pld, pldDelta, pldEpsilon } from './pld.ts'
export { type PrivateRandom, systemRandom } from './private-random.ts'
export { rdp, renyiDivergence } from './rdp.ts'
export type { RenyiCurve } from './renyi.ts'
export { type Rational, rationalAtLeast, roundedGaussian } from './rounded-gaussian.ts'
export { type Adjacency, type PrivacyUnit, sensitivityFactor } from './units.ts'
export {
  type EpsilonByAdjacency,
  eventsSeen,
  type SampledReleases,
  type ViewerEpsilons,
  viewerEpsilons,
} from './viewers.ts'
export { zcdp } from './zcdp.ts'
