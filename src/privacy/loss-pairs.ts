// Dominating pairs: two distributions on a line that are at least as far apart as the outputs of a mechanism on any two
// neighbours, by every hockey-stick divergence. Zhu, Dong and Wang, "Optimal Accounting of Differential Privacy via
// Characteristic Function" (AISTATS 2022): Theorem 10, dominating pairs compose; Theorem 11, sampling of a pair.
// - Gaussian, any dimension: N(0, s^2) and N(1, s^2) (Balle and Wang 2018).
// - Poisson-sampled Gaussian, add-remove: N(0, s^2) and (1-q) N(0, s^2) + q N(1, s^2), in both orders.
// - Laplace on a vector with L1 sensitivity 1: one coordinate that moves by 1. A vector that moves coordinate by coordinate
//   is a chain of neighbours (Dong, Roth and Su, Lemma A.5), and for log-concave noise on a line the chain's trade-off
//   function is that of the whole shift (their Proposition A.3).
import type { SimpleEvent } from './events.ts'
import { type Direction, logRatio } from './sampled-gaussian.ts'
import { normalCdf } from './special.ts'

/** P's density and the loss log(P/Q) over a parameter t, in which the loss does not decrease. */
export interface LossPair {
  readonly density: (t: number) => number
  readonly loss: (t: number) => number
  /** The t at which the loss is this; -Infinity or Infinity where it never is. */
  readonly at: (loss: number) => number
  /** The range of t that is computed, and P's mass below and above it. */
  readonly low: number
  readonly high: number
  readonly below: number
  readonly above: number
  /** Over this length density and loss are nearly polynomials. */
  readonly smooth: number
  readonly atoms: readonly { readonly loss: number; readonly mass: number }[]
}

/** Whether exchanging the two neighbours gives the same pair. */
export function isSymmetric(event: SimpleEvent): boolean {
  return event.type === 'gaussian' || event.type === 'laplace'
}

/** `width`: standard deviations that are computed on each side. */
export function lossPair(event: SimpleEvent, direction: Direction, width: number): LossPair | undefined {
  if (event.type === 'gaussian') return sampled(1, event.noiseMultiplier, direction, width)
  if (event.type === 'laplace') return laplace(event.noiseMultiplier)
  if (event.type === 'poissonSampled' && event.event.type === 'gaussian') {
    return sampled(event.rate, event.event.noiseMultiplier, direction, width)
  }
  return undefined
}

function sampled(rate: number, sigma: number, direction: Direction, width: number): LossPair {
  const variance = sigma * sigma
  const ratio = (x: number): number => logRatio(rate, (x - 0.5) / variance)
  const inverse = (loss: number): number => {
    if (rate === 1) return loss * variance + 0.5
    const inside = Math.expm1(loss) / rate
    if (inside <= -1) return Number.NEGATIVE_INFINITY
    const z = loss > 500 ? loss - Math.log(rate) : Math.log1p(inside)
    return z * variance + 0.5
  }
  const scale = 1 / (sigma * Math.sqrt(2 * Math.PI))
  // The loss of a sampled pair has singularities pi s^2 off the real line.
  const smooth = Math.min((0.25 * sigma) / (1 + width), 0.25 * variance)
  const normal = (x: number): number => scale * Math.exp((-x * x) / (2 * variance))
  if (direction === 'remove') {
    const low = -width * sigma
    const high = 1 + width * sigma
    return {
      density: (x) => (1 - rate) * normal(x) + rate * normal(x - 1),
      loss: ratio,
      at: inverse,
      low,
      high,
      below: (1 - rate) * normalCdf(low / sigma) + rate * normalCdf((low - 1) / sigma),
      above: (1 - rate) * normalCdf(-high / sigma) + rate * normalCdf((1 - high) / sigma),
      smooth,
      atoms: [],
    }
  }
  const edge = width * sigma
  return {
    density: normal,
    loss: (t) => -ratio(-t),
    at: (loss) => -inverse(-loss),
    low: -edge,
    high: edge,
    below: normalCdf(-width),
    above: normalCdf(-width),
    smooth,
    atoms: [],
  }
}

function laplace(scale: number): LossPair {
  return {
    density: (t) => (0.5 / scale) * Math.exp(t / scale),
    loss: (t) => (1 + 2 * t) / scale,
    at: (loss) => (loss * scale - 1) / 2,
    low: -1,
    high: 0,
    below: 0,
    above: 0,
    smooth: 0.25 * scale,
    atoms: [
      { loss: 1 / scale, mass: 0.5 },
      { loss: -1 / scale, mass: 0.5 * Math.exp(-1 / scale) },
    ],
  }
}
