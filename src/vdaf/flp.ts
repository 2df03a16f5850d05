// The fully linear proof system of the VDAF draft (section 7.3), after Boneh, Boyle, Corrigan-Gibbs, Gilboa and Ishai 2019,
// theorem 4.3: the client proves that its circuit outputs zeros, and each aggregator queries its share of measurement and
// proof with one linear map. Only the sum of the answers says whether the measurement is valid, and nothing more.
import { type Circuit, wireLength } from './circuit.ts'
import { concat, encode, type Field, rootsOfUnity, slice, type Vector } from './field.ts'
import { DEGREE } from './gadget.ts'
import { rejected } from './rejection.ts'

type Any = Circuit<never, unknown>

export interface FlpLengths {
  readonly proveRand: number
  readonly queryRand: number
  readonly proof: number
  readonly verifier: number
}

/** In field elements, for one proof. */
export function flpLengths(circuit: Any): FlpLengths {
  const { arity } = circuit.gadget
  return {
    proveRand: arity,
    queryRand: 1 + (circuit.checkCount > 1 ? circuit.checkCount : 0),
    proof: arity + DEGREE * (wireLength(circuit.calls) - 1) + 1,
    verifier: 1 + arity + 1,
  }
}

export function prove(circuit: Any, measurement: Vector, proveRand: Vector, jointRand: Vector): Vector {
  const { field, gadget } = circuit
  const p = wireLength(circuit.calls)
  const polynomial = gadget.polynomial(circuit.wires(measurement, jointRand, proveRand, 1), p)
  return concat(proveRand, slice(field, polynomial, 0, DEGREE * (p - 1) + 1))
}

export interface QueryInput {
  readonly measurement: Vector
  readonly proof: Vector
  readonly queryRand: Vector
  readonly jointRand: Vector
  readonly shares: number
}

export function query(
  circuit: Any,
  { measurement, proof, queryRand, jointRand, shares }: QueryInput,
): Vector {
  const { field, gadget, calls } = circuit
  const p = wireLength(calls)
  const wires = circuit.wires(measurement, jointRand, slice(field, proof, 0, gadget.arity), shares)
  const polynomial = withLastValue(field, slice(field, proof, gadget.arity), 2 * p)
  // The wire values lie at the p-th roots of unity: every second of the 2p values, after the one at the seed.
  const outputs = new Uint8Array(calls * field.size)
  for (let call = 0; call < calls; call++) {
    outputs.set(slice(field, polynomial, 2 * (call + 1), 2 * (call + 1) + 1), call * field.size)
  }
  const checks = circuit.checks(measurement, outputs, shares)
  const many = circuit.checkCount > 1
  const check = many ? field.dot(checks, slice(field, queryRand, 0, circuit.checkCount)) : checks
  const t = slice(field, queryRand, many ? circuit.checkCount : 0)
  refuseRoot(field, t, p)
  return concat(check, field.dot(wires, field.weights(t, p)), field.dot(polynomial, field.weights(t, 2 * p)))
}

/** Whether a verifier, the sum of all aggregators' shares, comes from a valid measurement. */
export function decide(circuit: Any, verifier: Vector): boolean {
  const { field, gadget } = circuit
  const wires = slice(field, verifier, 1, 1 + gadget.arity)
  const wrong = field.sub(gadget.evaluate(wires), slice(field, verifier, 1 + gadget.arity))
  return slice(field, verifier, 0, 1).every((byte) => byte === 0) && wrong.every((byte) => byte === 0)
}

/**
 * A polynomial of degree n - 2, given at all n-th roots of unity but the last, at the last too. Its coefficient of x^(n-1)
 * vanishes: the sum over i of w^i v_i is zero.
 */
function withLastValue(field: Field, values: Vector, n: number): Vector {
  const sum = field.dot(values, slice(field, rootsOfUnity(field, n), 0, n - 1))
  // v_(n-1) = -w^(-(n-1)) sum = -w sum.
  const last = field.mul(field.sub(encode(field, [0]), sum), slice(field, rootsOfUnity(field, n), 1, 2))
  return concat(values, last)
}

/** At a p-th root of unity the answer would be a wire's value itself (chance p / |F|). */
function refuseRoot(field: Field, t: Vector, p: number): void {
  let power = t
  for (let n = 1; n < p; n *= 2) power = field.mul(power, power)
  if (field.sub(power, encode(field, [1])).every((byte) => byte === 0)) {
    throw rejected('proof', 'the query point of this report is a root of unity')
  }
}
