// From Renyi divergence to (epsilon, delta). Canonne, Kamath and Steinke, "The Discrete Gaussian for Differential Privacy"
// (NeurIPS 2020), Proposition 12; Balle et al. (AISTATS 2020), Theorem 21, is the same bound. It holds at every order > 1,
// so the search below needs no proof: whatever order it ends at, the number is a bound.
import { checkDelta } from './units.ts'

/** Renyi divergence of a composition at an order > 1, in nats; Infinity where it is not known. */
export type RenyiCurve = (order: number) => number

/** Epsilon at delta from one order. */
export function epsilonAtOrder(order: number, divergence: number, delta: number): number {
  return divergence + Math.log1p(-1 / order) - (Math.log(delta) + Math.log(order)) / (order - 1)
}

/** Natural logarithm of delta at epsilon from one order. */
export function logDeltaAtOrder(order: number, divergence: number, epsilon: number): number {
  return (order - 1) * (divergence - epsilon + Math.log1p(-1 / order)) - Math.log(order)
}

export interface AtOrder {
  readonly value: number
  readonly order: number
}

/** The smallest epsilon over all orders; never below 0. */
export function renyiEpsilon(curve: RenyiCurve, delta: number): AtOrder {
  checkDelta(delta)
  const best = smallest((order) => epsilonAtOrder(order, curve(order), delta))
  return { ...best, value: Math.max(0, best.value) }
}

/** The smallest delta over all orders; never above 1. */
export function renyiDelta(curve: RenyiCurve, epsilon: number): AtOrder {
  const best = smallest((order) => logDeltaAtOrder(order, curve(order), epsilon))
  return { ...best, value: Math.min(1, Math.exp(best.value)) }
}

const GOLDEN = (Math.sqrt(5) - 1) / 2

/** Minimum over orders 1 + e^t: a walk over t from -5 to 20, then a golden-section search around the best step. */
function smallest(bound: (order: number) => number): AtOrder {
  const at = (t: number): number => {
    const value = bound(1 + Math.exp(t))
    return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value
  }
  let best = { t: 0, value: Number.POSITIVE_INFINITY }
  const consider = (t: number, value: number) => {
    if (value < best.value) best = { t, value }
    return value
  }
  const STEP = 0.25
  for (let t = -5; t <= 20; t += STEP) consider(t, at(t))
  let low = best.t - STEP
  let high = best.t + STEP
  let left = high - GOLDEN * (high - low)
  let right = low + GOLDEN * (high - low)
  let atLeft = consider(left, at(left))
  let atRight = consider(right, at(right))
  while (high - low > 1e-6) {
    if (atLeft <= atRight) {
      high = right
      right = left
      atRight = atLeft
      left = high - GOLDEN * (high - low)
      atLeft = consider(left, at(left))
    } else {
      low = left
      left = right
      atLeft = atRight
      right = low + GOLDEN * (high - low)
      atRight = consider(right, at(right))
    }
  }
  return { value: best.value, order: 1 + Math.exp(best.t) }
}
