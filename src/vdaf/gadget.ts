// The gadgets of the VDAF draft (appendix A): the one part of a circuit that is not affine. All are of degree 2, as every
// circuit of this folder needs; so a gadget polynomial over p wire values has 2p - 1 values, one fewer than the 2p roots.
import { encode, type Field, type Vector } from './field.ts'

export const DEGREE = 2

export interface Gadget {
  readonly arity: number
  /** The output for one input to each wire. */
  evaluate(inputs: Vector): Vector
  /** The output polynomial, 2p values, of `arity` wire polynomials of p values. */
  polynomial(wires: Vector, p: number): Vector
}

/** x0 x1 + x2 x3 + ..., `count` products: ParallelSum of Mul; Mul itself for a count of 1. */
export function parallelSumOfMul(field: Field, count: number): Gadget {
  return {
    arity: 2 * count,
    evaluate: (inputs) => field.pairs(inputs, 1),
    polynomial: (wires, p) => field.pairs(field.double(wires, p), 2 * p),
  }
}

/** c0 + c1 x + c2 x^2: PolyEval. */
export function polyEval(field: Field, coefficients: readonly [number, number, number]): Gadget {
  const at = (x: Vector): Vector => {
    const all = (c: number) => encode(field, new Array<number>(x.length / field.size).fill(c))
    const [c0, c1, c2] = coefficients
    return field.add(field.mul(field.add(field.mul(all(c2), x), all(c1)), x), all(c0))
  }
  return { arity: 1, evaluate: at, polynomial: (wires, p) => at(field.double(wires, p)) }
}
