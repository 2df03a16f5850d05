// L1BoundSum of draft-ietf-ppm-l1-bound-sum (section 3): each client sends `length` non-negative integers whose sum is at most
// `maxValue`: L1 norm <= maxValue, and so L2 norm <= maxValue. For votes that count several texts on one candidate.
import type { Circuit } from '../circuit.ts'
import { concat, encode, type Field, slice } from '../field.ts'
import { bitCheck, bitWeights, encodeBits, positive, rangeBits } from './bits.ts'
import { inRange } from './sum-vec.ts'

export interface L1BoundSumOptions {
  readonly length: number
  readonly maxValue: number
  readonly chunkLength: number
}

export function l1BoundSum(
  field: Field,
  { length, maxValue, chunkLength }: L1BoundSumOptions,
): Circuit<ArrayLike<number>, bigint[]> {
  positive('length', length)
  positive('maxValue', maxValue)
  positive('chunkLength', chunkLength)
  const numbers = bitWeights(maxValue)
  const weights = encode(field, numbers)
  const { sum, ...check } = bitCheck(field, (length + 1) * numbers.length, chunkLength)
  // The sum of the entries less the sum that the client reported, as one inner product.
  const difference = encode(
    field,
    Array.from({ length: length + 1 }, (_, i) =>
      numbers.map((weight) => (i < length ? weight : -weight)),
    ).flat(),
  )
  return {
    ...check,
    field,
    outputLength: length,
    checkCount: 2,
    encode(values) {
      if (values.length !== length) throw new RangeError(`expected ${length} integers, got ${values.length}`)
      const entries = Array.from(values)
      for (const value of entries) inRange(value, maxValue)
      const total = entries.reduce((all, value) => all + value, 0)
      if (total > maxValue) throw new RangeError(`expected a sum of at most ${maxValue}, got ${total}`)
      return encodeBits(
        field,
        [...entries, total].flatMap((value) => rangeBits(value, maxValue)),
      )
    },
    checks: (measurement, outputs) => concat(sum(outputs), field.dot(measurement, difference)),
    truncate: (measurement) => field.dot(slice(field, measurement, 0, length * numbers.length), weights),
    decode: (sums) => [...sums],
  }
}
