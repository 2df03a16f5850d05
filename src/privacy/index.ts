// pretext/privacy: differential privacy accounting on its own. Pure arithmetic, no dependencies, nothing private inside.
export { ACCOUNTANT, calibrateNoise, composedMu, epsilonOf } from './accountant.ts'
export type { ExactEvent, GaussianEvent, MechanismEvent } from './events.ts'
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
export { type PrivateRandom, systemRandom } from './private-random.ts'
export { type Rational, rationalAtLeast, roundedGaussian } from './rounded-gaussian.ts'
export { type Adjacency, type PrivacyUnit, sensitivityFactor } from './units.ts'
