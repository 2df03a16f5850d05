// The Gaussian mechanism, exactly: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy" (ICML
// 2018), Theorem 8. `mu` is the L2 sensitivity divided by sigma; T adaptive releases compose to sqrt(sum mu_i^2) without
// loss (Dong, Roth and Su, "Gaussian Differential Privacy", Corollary 3.3). Tight for one release and for any number.
import { erfcx, normalCdf } from './special.ts'
import { checkDelta, checkEpsilon } from './units.ts'

/** The smallest delta for which the mechanism is (epsilon, delta)-DP. */
export function gaussianDelta(epsilon: number, mu: number): number {
  if (mu === 0) return 0
  if (mu === Number.POSITIVE_INFINITY) return 1
  const a = epsilon / mu - mu / 2
  const b = epsilon / mu + mu / 2
  // exp(epsilon) Phi(-b) = exp(-a^2/2) erfcx(b/sqrt 2)/2, since b^2 - a^2 = 2 epsilon: no overflow for any epsilon.
  const scale = 0.5 * Math.exp(-0.5 * a * a)
  if (a >= 0) return scale * (erfcx(a / Math.SQRT2) - erfcx(b / Math.SQRT2))
  return normalCdf(-a) - scale * erfcx(b / Math.SQRT2)
}

// Guards the printed numbers against the rounding of gaussianDelta itself: both answers move toward privacy by this.
const MARGIN = 1e-10

/** Never below the truth: with noise of a million times the sensitivity and more, the two terms of delta nearly cancel. */
export function gaussianDeltaAbove(epsilon: number, mu: number): number {
  if (mu === Number.POSITIVE_INFINITY) return 1
  const a = epsilon / mu - mu / 2
  // Each term is right to 40 units in the last place; what underflows is below 1e-300.
  const terms = a >= 0 ? 0.5 * Math.exp(-0.5 * a * a) * erfcx(a / Math.SQRT2) : 1
  return Math.min(1, gaussianDelta(epsilon, mu) * (1 + MARGIN) + 40 * Number.EPSILON * terms + 1e-300)
}

/** The epsilon of a composed mechanism at delta, rounded up. */
export function gaussianEpsilon(mu: number, delta: number): number {
  checkDelta(delta)
  if (mu === 0 || gaussianDeltaAbove(0, mu) <= delta) return 0
  if (mu === Number.POSITIVE_INFINITY) return mu
  // zCDP gives an upper end: rho + 2 sqrt(rho log(1/delta)) with rho = mu^2/2.
  let low = 0
  let high = mu * mu * 0.5 + mu * Math.sqrt(2 * Math.log(1 / delta)) + 1e-12
  for (let i = 0; i < 200; i++) {
    const middle = 0.5 * (low + high)
    if (middle === low || middle === high) break
    if (gaussianDeltaAbove(middle, mu) > delta) low = middle
    else high = middle
  }
  return high * (1 + MARGIN)
}

/** The largest mu that is (epsilon, delta)-DP, rounded down: the inverse of gaussianEpsilon. */
export function gaussianMu(epsilon: number, delta: number): number {
  checkEpsilon(epsilon)
  checkDelta(delta)
  if (epsilon === Number.POSITIVE_INFINITY) return epsilon
  let low = 0
  let high = 1
  while (gaussianDelta(epsilon, high) < delta) high *= 2
  for (let i = 0; i < 1200; i++) {
    const middle = 0.5 * (low + high)
    if (middle === low || middle === high) break
    if (gaussianDeltaAbove(epsilon, middle) > delta) high = middle
    else low = middle
  }
  // gaussianEpsilon adds MARGIN to epsilon; taking ten times as much off mu keeps epsilon(mu(epsilon)) <= epsilon.
  return low * (1 - 10 * MARGIN)
}
