// Checks that a vector holds zeros and ones only, by one random combination of x (x - 1) in chunks (VDAF draft, section
// 7.4.3): the part that SumVec, Histogram and MultihotCountVec share.
import { type Circuit, wireLength } from '../circuit.ts'
import { encode, type Field, inverse, type Vector } from '../field.ts'
import { parallelSumOfMul } from '../gadget.ts'

type BitCheck = Pick<
  Circuit<never, never>,
  'gadget' | 'calls' | 'measurementLength' | 'jointRandLength' | 'jointRandDegree' | 'wires'
> & {
  /** One output: zero when every element is a bit. */
  sum(outputs: Vector): Vector
}

export function bitCheck(field: Field, length: number, chunkLength: number): BitCheck {
  const calls = Math.ceil(length / chunkLength)
  const ones = constants(field, calls, 1)
  const width = wireLength(calls)
  return {
    gadget: parallelSumOfMul(field, chunkLength),
    calls,
    measurementLength: length,
    jointRandLength: calls,
    jointRandDegree: chunkLength,
    wires: (measurement, joint, seeds, shares) =>
      field.wires(measurement, joint, seeds, { chunk: chunkLength, width, constant: inverse(field, shares) }),
    sum: (outputs) => field.dot(outputs, ones),
  }
}

export function constants(field: Field, length: number, value: number): Vector {
  return encode(field, new Array<number>(length).fill(value))
}

/** Bits as field elements; no time depends on them. */
export function encodeBits(field: Field, bits: ArrayLike<number | boolean>): Vector {
  const out = new Uint8Array(bits.length * field.size)
  let others = 0
  for (let i = 0; i < bits.length; i++) {
    const value = Number(bits[i])
    const bit = value & 1
    others += Math.abs(value - bit)
    out[i * field.size] = bit
  }
  if (others !== 0) throw new RangeError('expected every entry to be 0 or 1, got others')
  return out
}

/**
 * The weights of a number from 0 to `max` written in bits: powers of two, and a last one that makes the sum of all `max`
 * (so that no number above `max` can be written).
 */
export function bitWeights(max: number): number[] {
  const count = Math.floor(Math.log2(max)) + 1
  const weights = Array.from({ length: count }, (_, i) => 2 ** i)
  weights[count - 1] = max - (2 ** (count - 1) - 1)
  return weights
}

/** The bits of `value` for those weights. The last is set where the others cannot reach: a choice by mask, not by branch. */
export function rangeBits(value: number, max: number): number[] {
  const weights = bitWeights(max)
  const last = weights.at(-1) ?? 0
  const reach = max - last
  // 1 if value > reach; both are below 2^31.
  const above = ((reach - value) >>> 31) & 1
  const rest = value - last * above
  return weights.map((_, i) => (i === weights.length - 1 ? above : (rest >>> i) & 1))
}

export function positive(name: string, value: number, max = 2 ** 31 - 1): void {
  if (!(Number.isInteger(value) && value >= 1 && value <= max)) {
    throw new RangeError(`expected ${name} to be an integer from 1 to ${max}, got ${value}`)
  }
}
