// The sum of many independent privacy losses around one epsilon, by the fast Fourier transform, with a bound on everything
// that is not exact.
//
// A plain FFT is accurate relative to the largest probability, which says nothing about a delta of 1e-10. So each
// distribution is tilted first: mass x e^(theta x loss), normalised, with theta chosen so that the tilted sum is centred near
// epsilon (the saddle point; Cramer 1938, as used for accounting by Alghamdi et al., "The Saddle-Point Method in Differential
// Privacy", ICML 2023). The convolution then happens where the answer is, and undoing the tilt scales its errors down with
// it. With w the tilted sum (a probability), K(theta) the log-moment, u = loss - centre and s = epsilon - centre:
//   delta(epsilon) = e^(K(theta) - theta centre) sum_u w(u) g(u), g(u) = e^(-theta u) (1 - e^(s - u)) for u > s.
// Bounded and added: (1) mass that wraps around the cycle: it only adds to an upper bound; a lower bound subtracts
// Chernoff's bound on it; (2) what lies above the window: Chernoff's bound; (3) rounding of the FFT: Higham, "Accuracy and
// Stability of Numerical Algorithms" (2002), Theorem 24.2, log2(n) x eta in the 2-norm, times the number of factors, by Cauchy-Schwarz; (4) infinite losses.
import FFT from 'fft.js'
import type { LossMasses } from './loss-grid.ts'

export interface Summand {
  readonly masses: LossMasses
  readonly count: number
}

export interface Window {
  /** Losses around which the sum is wanted. */
  readonly centre: number
  readonly theta: number
  /** Window below and above the centre. */
  readonly below: number
  readonly above: number
  /** Further tilts at which Chernoff's bound is good below (negative) and above the window. */
  readonly tiltBelow: number
  readonly tiltAbove: number
}

export interface LossSum {
  /** The smallest and the largest epsilon inside the window. */
  readonly low: number
  readonly high: number
  /** Bound on delta at an epsilon inside the window: from above or from below, as the masses are. */
  readonly delta: (epsilon: number, side: 'above' | 'below') => number
}

/** Error of one butterfly, in units of the machine precision: Higham's eta with room for the twiddle factors. */
const ETA = 20 * 1.2e-16

/** log sum of mass x e^(tilt x loss). */
export function logMoment({ step, first, shift, mass }: LossMasses, tilt: number): number {
  let top = Number.NEGATIVE_INFINITY
  for (let i = 0; i < mass.length; i++) {
    if ((mass[i] as number) > 0) top = Math.max(top, tilt * (first + i) * step)
  }
  let sum = 0
  for (let i = 0; i < mass.length; i++) sum += (mass[i] as number) * Math.exp(tilt * (first + i) * step - top)
  return Math.log(sum) + top + tilt * shift
}

/** All summands share one step; the cycle has `size` points, a power of two. */
export function tiltedSum(summands: readonly Summand[], window: Window, size: number): LossSum {
  const { centre, theta } = window
  const step = (summands[0] as Summand).masses.step
  const shift = summands.reduce((sum, { masses, count }) => sum + count * masses.shift, 0)
  const moment = (tilt: number): number =>
    summands.reduce((sum, { masses, count }) => sum + count * logMoment(masses, tilt), 0)
  const atTheta = moment(theta)
  const start = Math.ceil((centre - window.below - shift) / step)
  const lowest = start * step + shift - centre
  const highest = (start + size - 1) * step + shift - centre
  const chernoff = (tilt: number, edge: number): number =>
    tilt === 0 ? 1 : Math.min(1, Math.exp(moment(theta + tilt) - atTheta - tilt * (edge + centre)))
  const beyondAbove = chernoff(window.tiltAbove, highest)
  const beyondBelow = chernoff(window.tiltBelow, lowest)
  const { values, error } = convolve(summands, theta, size)
  let finite = 0
  for (const { masses, count } of summands) finite += count * Math.log1p(-masses.infinite)
  const infinite = -Math.expm1(finite)

  const weights = new Float64Array(size)
  const shrink = new Float64Array(size)
  const untilt = new Float64Array(size)
  for (let i = 0; i < size; i++) {
    const u = lowest + i * step
    const at = (((start + i) % size) + size) % size
    untilt[i] = Math.exp(-theta * u)
    weights[i] = (values[at] as number) * (untilt[i] as number)
    shrink[i] = Math.exp(-u)
  }
  const scale = Math.exp(atTheta - theta * centre)
  return {
    low: lowest + centre,
    high: highest + centre,
    delta(epsilon, side) {
      const s = epsilon - centre
      const factor = Math.exp(s)
      let sum = 0
      let squares = 0
      let largest = 0
      const from = Math.max(0, Math.floor((s - lowest) / step) + 1)
      for (let i = from; i < size; i++) {
        const part = Math.max(0, 1 - factor * (shrink[i] as number))
        const g = (untilt[i] as number) * part
        sum += (weights[i] as number) * part
        squares += g * g
        if (g > largest) largest = g
      }
      const rounding = error * Math.sqrt(squares)
      if (side === 'below') {
        return Math.max(0, scale * (1 - 1e-11) * (sum - rounding - (beyondAbove + beyondBelow) * largest))
      }
      // Above the window the untilted weight still falls.
      const outside = beyondAbove * Math.exp(-theta * highest)
      return Math.min(1, scale * (1 + 1e-11) * (sum + rounding + outside) + infinite)
    },
  }
}

/** The tilted, normalised sum on a cycle, and a bound on the 2-norm of its error. */
function convolve(summands: readonly Summand[], theta: number, size: number) {
  const fft = new FFT(size)
  const log2 = Math.log2(size)
  const product = new Float64Array(2 * size)
  const spectrum = new Float64Array(2 * size)
  for (let i = 0; i < size; i++) product[2 * i] = 1
  let error = 0
  let releases = 0
  for (const { masses, count } of summands) {
    const cycle = new Float64Array(size)
    const logTotal = logMoment(masses, theta) - theta * masses.shift
    for (let i = 0; i < masses.mass.length; i++) {
      const at = (((masses.first + i) % size) + size) % size
      const loss = (masses.first + i) * masses.step
      cycle[at] = (cycle[at] as number) + (masses.mass[i] as number) * Math.exp(theta * loss - logTotal)
    }
    let squares = 0
    for (const value of cycle) squares += value * value
    error += count * Math.sqrt(squares) * log2 * ETA
    releases += count
    fft.realTransform(spectrum, cycle)
    fft.completeSpectrum(spectrum)
    multiplyByPower(product, spectrum, count)
  }
  fft.inverseTransform(spectrum, product)
  const values = new Float64Array(size)
  let squares = 0
  for (let i = 0; i < size; i++) {
    values[i] = spectrum[2 * i] as number
    squares += (values[i] as number) ** 2
  }
  // Forward errors, then those of the powers (angles are multiplied by the count) and of the inverse transform.
  error = 1.01 * (error + Math.sqrt(squares) * (log2 * ETA + 16 * releases * Number.EPSILON))
  return { values, error }
}

function multiplyByPower(product: Float64Array, factor: Float64Array, power: number): void {
  for (let i = 0; i < product.length; i += 2) {
    const re = factor[i] as number
    const im = factor[i + 1] as number
    const size = Math.hypot(re, im) ** power
    const angle = Math.atan2(im, re) * power
    const a = size * Math.cos(angle)
    const b = size * Math.sin(angle)
    const x = product[i] as number
    const y = product[i + 1] as number
    product[i] = x * a - y * b
    product[i + 1] = x * b + y * a
  }
}
