// Count of the VDAF draft (section 7.4.1): each client sends zero or one.
import type { Circuit } from '../circuit.ts'
import { concat, type Field, slice } from '../field.ts'
import { parallelSumOfMul } from '../gadget.ts'
import { encodeBits } from './bits.ts'
import { inRange } from './sum-vec.ts'

export function count(field: Field): Circuit<number, bigint> {
  return {
    field,
    gadget: parallelSumOfMul(field, 1),
    calls: 1,
    measurementLength: 1,
    outputLength: 1,
    jointRandLength: 0,
    jointRandDegree: 0,
    checkCount: 1,
    encode(value) {
      inRange(value, 1)
      return encodeBits(field, [value])
    },
    wires: (x, _, seeds) => concat(slice(field, seeds, 0, 1), x, slice(field, seeds, 1, 2), x),
    checks: (measurement, outputs) => field.sub(outputs, measurement),
    truncate: (measurement) => measurement.slice(),
    decode: ([value = 0n]) => value,
  }
}
