// How likely an invalid measurement passes (VDAF draft, section 9.6, "Choosing FLP Parameters"): for one proof the sum of
//   - the circuit's error: the checks, as polynomials of degree `jointRandDegree` in uniform joint randomness, vanish with
//     chance degree / |F|; several checks folded by random factors into one add 1 / |F|;
//   - the proof system's (Boneh et al. 2019, theorem 4.3): two different polynomials of degree 2 (p - 1) agree at a point drawn
//     from the |F| - p that are no p-th roots of unity with chance 2 (p - 1) / (|F| - p);
// and for several proofs with randomness of their own its power.
import { wireLength } from './circuit.ts'
import { DEGREE } from './gadget.ts'
import type { Parameters } from './parameters.ts'

export interface Soundness {
  /** -log2 of the chance that one invalid report passes, its client having made one attempt. */
  readonly bits: number
  /**
   * -log2 of the chance that any of `reports` invalid reports passes when their clients may first try 2^`queriesBits` hashes
   * offline for lucky joint randomness: (queries + reports) * error (Davis, Patton, Rosulek and Schoppmann 2023, theorem 1).
   */
  against(attack: { readonly queriesBits: number; readonly reports: number }): number
}

export function soundness({ circuit, proofs }: Parameters): Soundness {
  const size = Number(circuit.field.modulus)
  const p = wireLength(circuit.calls)
  const perProof =
    (circuit.jointRandDegree + (circuit.checkCount > 1 ? 1 : 0)) / size + (DEGREE * (p - 1)) / (size - p)
  const bits = -Math.log2(perProof) * proofs
  return {
    bits,
    against: ({ queriesBits, reports }) => bits - Math.log2(2 ** queriesBits + reports),
  }
}
