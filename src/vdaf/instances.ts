// The variants of Prio3 in the VDAF draft (section 7.4), with their identifiers and fields.
import { count } from './circuits/count.ts'
import { type HistogramOptions, histogram } from './circuits/histogram.ts'
import { type L1BoundSumOptions, l1BoundSum } from './circuits/l1-bound-sum.ts'
import { type MultihotOptions, multihotCountVec } from './circuits/multihot-count-vec.ts'
import { sum } from './circuits/sum.ts'
import { type SumVecOptions, sumVec } from './circuits/sum-vec.ts'
import type { Field } from './field.ts'
import { field64, field128 } from './field-kernel.ts'
import { prio3 } from './prio3.ts'

interface Shares {
  readonly shares?: number
  /** The arithmetic; the kernel's unless a test brings another. */
  readonly field?: Field
}

interface Multiproof {
  readonly proofs?: number
}

export function prio3Count({ shares = 2, field = field64 }: Shares = {}) {
  return prio3({ id: 1, circuit: count(field), shares, proofs: 1 })
}

export function prio3Sum({ shares = 2, field = field64, ...options }: Shares & { maxMeasurement: number }) {
  return prio3({ id: 2, circuit: sum(field, options), shares, proofs: 1 })
}

export function prio3SumVec({ shares = 2, field = field128, ...options }: Shares & SumVecOptions) {
  return prio3({ id: 3, circuit: sumVec(field, options), shares, proofs: 1 })
}

export function prio3Histogram({ shares = 2, field = field128, ...options }: Shares & HistogramOptions) {
  return prio3({ id: 4, circuit: histogram(field, options), shares, proofs: 1 })
}

export function prio3MultihotCountVec({
  shares = 2,
  field = field128,
  ...options
}: Shares & MultihotOptions) {
  return prio3({ id: 5, circuit: multihotCountVec(field, options), shares, proofs: 1 })
}

/** Of draft-ietf-ppm-l1-bound-sum. */
export function prio3L1BoundSum({ shares = 2, field = field128, ...options }: Shares & L1BoundSumOptions) {
  return prio3({ id: 7, circuit: l1BoundSum(field, options), shares, proofs: 1 })
}

/** The draft's experimental variant: three proofs over the smaller field. */
export function prio3SumVecWithMultiproof({
  shares = 2,
  field = field64,
  proofs = 3,
  ...options
}: Shares & Multiproof & SumVecOptions) {
  return prio3({ id: 0xffffffff, circuit: sumVec(field, options), shares, proofs })
}

/** As prio3SumVecWithMultiproof, of MultihotCountVec; the identifier is of the range for private use. */
export function prio3MultihotCountVecWithMultiproof({
  shares = 2,
  field = field64,
  proofs = 3,
  ...options
}: Shares & Multiproof & MultihotOptions) {
  return prio3({ id: 0xffff0005, circuit: multihotCountVec(field, options), shares, proofs })
}
