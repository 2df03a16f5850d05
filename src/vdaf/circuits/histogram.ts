// Histogram of the VDAF draft (section 7.4.4): each client sends the number of one bucket; the sum counts the clients in each.
import type { Circuit } from '../circuit.ts'
import { concat, type Field, inverse } from '../field.ts'
import { bitCheck, constants, positive } from './bits.ts'

export interface HistogramOptions {
  readonly length: number
  readonly chunkLength: number
}

export function histogram(
  field: Field,
  { length, chunkLength }: HistogramOptions,
): Circuit<number, bigint[]> {
  positive('length', length)
  positive('chunkLength', chunkLength)
  const { sum, ...check } = bitCheck(field, length, chunkLength)
  const ones = constants(field, length, 1)
  return {
    ...check,
    field,
    outputLength: length,
    checkCount: 2,
    encode(bucket) {
      if (!(Number.isInteger(bucket) && bucket >= 0 && bucket < length))
        throw new RangeError(`expected a bucket from 0 to ${length - 1}, got ${bucket}`)
      const out = new Uint8Array(length * field.size)
      // Every place is written, with the difference folded to a bit: no address depends on the bucket.
      for (let i = 0; i < length; i++) out[i * field.size] = (((i ^ bucket) - 1) >>> 31) & 1
      return out
    },
    checks: (measurement, outputs, shares) =>
      concat(sum(outputs), field.sub(field.dot(measurement, ones), inverse(field, shares))),
    truncate: (measurement) => measurement.slice(),
    decode: (sums) => [...sums],
  }
}
