// Privacy loss distributions on a lattice, from above and from below. Doroshenko, Ghazi, Kamath, Kumar and Manurangsi,
// "Connect the Dots: Tighter Discrete Approximations of Privacy Loss Distributions" (PETS 2022).
//
// Above: the mass of each cell between two lattice points goes to its ends so that P's and Q's mass of the cell stay as they
// were (Lemma 3.1 there): the divergence is then exact at every lattice point, and above the truth between them, because
// it is convex in e^epsilon. Mass beyond the computed range goes up, to the end of the lowest cell or to an infinite loss.
// Below: a cell becomes one outcome (post-processing, so never above the truth) with the loss log(P/Q) of the whole cell,
// and that is rounded down to the lattice. All losses lie nearly half a cell above their lower end, so the lattice itself
// is shifted by that: what rounding takes is of second order in the width of a cell, as it is from above.
//
// Rounding errors of the cell integrals are bounded by SLACK and added to (or taken from) the mass.
import type { LossPair } from './loss-pairs.ts'

/** Masses of P at the losses (first + i) x step + shift; `infinite` is the mass of an infinite loss. */
export interface LossMasses {
  readonly step: number
  readonly first: number
  readonly shift: number
  readonly mass: Float64Array
  readonly infinite: number
}

/** Cell i lies between the lattice points first + i and first + i + 1. */
export interface LossCells {
  readonly step: number
  readonly first: number
  readonly mass: Float64Array
  /** Part of the mass that belongs to the upper end. */
  readonly upper: Float64Array
  /** Bound on the rounding error of `upper`. */
  readonly slack: number
  readonly below: number
  readonly above: number
}

// Gauss-Legendre on [-1, 1], five nodes: exact for polynomials of degree 9.
const NODES = [-0.906179845938664, -0.5384693101056831, 0, 0.5384693101056831, 0.906179845938664]
const WEIGHTS = [
  0.23692688505618908, 0.47862867049936647, 0.5688888888888889, 0.47862867049936647, 0.23692688505618908,
]
const SLACK = 1e-13

/** The lattice cells that a pair's losses fall into. */
export function lossCells(pair: LossPair, step: number): LossCells {
  const lowest = Math.min(pair.loss(pair.low), ...pair.atoms.map((atom) => atom.loss))
  const highest = Math.max(pair.loss(pair.high), ...pair.atoms.map((atom) => atom.loss))
  const first = Math.floor(lowest / step)
  const count = Math.max(1, Math.ceil(highest / step) - first)
  const mass = new Float64Array(count)
  const weighted = new Float64Array(count)
  const widest = -Math.expm1(-step)
  const put = (i: number, loss: number, amount: number): void => {
    const share = -Math.expm1(-(loss - (first + i) * step)) / widest
    mass[i] = (mass[i] as number) + amount
    weighted[i] = (weighted[i] as number) + amount * Math.min(1, Math.max(0, share))
  }
  let from = pair.low
  for (let i = 0; i < count; i++) {
    const end = pair.at((first + i + 1) * step)
    const to = i === count - 1 ? pair.high : Math.max(from, Math.min(pair.high, end))
    const pieces = Math.max(1, Math.ceil((to - from) / pair.smooth))
    const half = (to - from) / (2 * pieces)
    if (half > 0) {
      for (let piece = 0; piece < pieces; piece++) {
        const centre = from + (2 * piece + 1) * half
        for (let n = 0; n < 5; n++) {
          const t = centre + half * (NODES[n] as number)
          put(i, pair.loss(t), half * (WEIGHTS[n] as number) * pair.density(t))
        }
      }
    }
    from = to
  }
  for (const { loss, mass: amount } of pair.atoms) {
    put(Math.min(count - 1, Math.max(0, Math.floor(loss / step) - first)), loss, amount)
  }
  const upper = weighted.map((value, i) => ((mass[i] as number) > 0 ? value / (mass[i] as number) : 0))
  const largest = Math.max(Math.abs(lowest), Math.abs(highest)) + 1
  return {
    step,
    first,
    mass,
    upper,
    slack: SLACK + (8 * Number.EPSILON * largest) / step,
    below: pair.below,
    above: pair.above,
  }
}

/** Never below the truth: connect the dots. */
export function lossesAbove({ step, first, mass, upper, slack, below, above }: LossCells): LossMasses {
  const points = new Float64Array(mass.length + 1)
  for (let i = 0; i < mass.length; i++) {
    const amount = (mass[i] as number) * (1 + SLACK)
    const share = upper[i] as number
    points[i] = (points[i] as number) + amount * Math.min(1, 1 - share + slack)
    points[i + 1] = (points[i + 1] as number) + amount * Math.min(1, share + slack)
  }
  // The range begins inside the first cell: only the upper end of that cell is above every loss below the range.
  points[1] = (points[1] as number) + below
  return { step, first, shift: 0, mass: points, infinite: above }
}

/** Never above the truth: cells become outcomes, and their losses are rounded down. */
export function lossesBelow({ step, first, mass, upper, slack, above }: LossCells): LossMasses {
  const widest = -Math.expm1(-step)
  const inside = upper.map((share) => Math.max(0, -Math.log1p(-share * widest) - slack * step))
  const shift = lowQuantile(inside, mass, Math.min(0.1, step / 10))
  const points = new Float64Array(mass.length + 1)
  for (let i = 0; i < mass.length; i++) {
    const at = (inside[i] as number) >= shift ? i + 1 : i
    points[at] = (points[at] as number) + (mass[i] as number) * (1 - SLACK)
  }
  // What is above the range has at least the loss of its end.
  points[mass.length - 1] = (points[mass.length - 1] as number) + above
  return { step, first: first - 1, shift, mass: points, infinite: 0 }
}

/** A value that less than `part` of the mass lies below, found on a fine scale from 0 to the largest. */
function lowQuantile(values: Float64Array, mass: Float64Array, part: number): number {
  const bins = 2 ** 20
  let largest = 0
  let total = 0
  for (let i = 0; i < values.length; i++) {
    largest = Math.max(largest, values[i] as number)
    total += mass[i] as number
  }
  if (largest === 0) return 0
  const counts = new Float64Array(bins + 1)
  for (let i = 0; i < values.length; i++) {
    const bin = Math.floor(((values[i] as number) / largest) * bins)
    counts[bin] = (counts[bin] as number) + (mass[i] as number)
  }
  let sum = 0
  for (let bin = 0; bin <= bins; bin++) {
    sum += counts[bin] as number
    if (sum > part * total) return (bin / bins) * largest
  }
  return 0
}
