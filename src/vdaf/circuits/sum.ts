// Sum of the VDAF draft (section 7.4.2): each client sends an integer from 0 to `maxMeasurement`.
import { type Circuit, wireLength } from '../circuit.ts'
import { concat, encode, type Field } from '../field.ts'
import { polyEval } from '../gadget.ts'
import { bitWeights, encodeBits, positive, rangeBits } from './bits.ts'
import { inRange } from './sum-vec.ts'

export function sum(
  field: Field,
  { maxMeasurement }: { readonly maxMeasurement: number },
): Circuit<number, bigint> {
  positive('maxMeasurement', maxMeasurement)
  const weights = bitWeights(maxMeasurement)
  const bits = weights.length
  const padding = new Uint8Array((wireLength(bits) - 1 - bits) * field.size)
  return {
    field,
    gadget: polyEval(field, [0, -1, 1]),
    calls: bits,
    measurementLength: bits,
    outputLength: 1,
    jointRandLength: 0,
    jointRandDegree: 0,
    checkCount: bits,
    encode(value) {
      inRange(value, maxMeasurement)
      return encodeBits(field, rangeBits(value, maxMeasurement))
    },
    wires: (measurement, _, seeds) => concat(seeds, measurement, padding),
    checks: (_, outputs) => outputs,
    truncate: (measurement) => field.dot(measurement, encode(field, weights)),
    decode: ([value = 0n]) => value,
  }
}
