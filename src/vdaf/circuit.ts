// A validity circuit of the VDAF draft (section 7.3.2). Every circuit here has one gadget, and what it feeds the gadget is affine
// in the measurement and does not depend on what the gadget returned: so evaluation has two steps, `wires` and `checks`.
import { type Field, nextPowerOfTwo, type Vector } from './field.ts'
import type { Gadget } from './gadget.ts'

export interface Circuit<Measurement, Result> {
  readonly field: Field
  readonly gadget: Gadget
  /** How often the gadget is called. */
  readonly calls: number
  /** Lengths in field elements. */
  readonly measurementLength: number
  readonly outputLength: number
  readonly jointRandLength: number
  /** How many outputs must be zero. */
  readonly checkCount: number
  /** The degree of the checks as polynomials in each element of joint randomness; part of the soundness error. */
  readonly jointRandDegree: number
  encode(measurement: Measurement): Vector
  /** Rows of `wireLength` inputs to the gadget, one row for each wire: its seed, its calls, zeros. */
  wires(measurement: Vector, jointRand: Vector, seeds: Vector, shares: number): Vector
  /** The outputs that must be zero, out of the gadget's outputs. */
  checks(measurement: Vector, outputs: Vector, shares: number): Vector
  /** What is summed. */
  truncate(measurement: Vector): Vector
  decode(sum: readonly bigint[], count: number): Result
}

/** Values in a wire polynomial: the seed and one for each call, up to a power of two. */
export function wireLength(calls: number): number {
  return nextPowerOfTwo(1 + calls)
}
