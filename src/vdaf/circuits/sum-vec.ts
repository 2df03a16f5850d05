// SumVec of the VDAF draft (section 7.4.3): each client sends `length` integers from 0 to `maxMeasurement`, summed place by
// place. The bits of every integer are checked, not the norm of the vector.
import type { Circuit } from '../circuit.ts'
import { encode, type Field } from '../field.ts'
import { bitCheck, bitWeights, encodeBits, positive, rangeBits } from './bits.ts'

export interface SumVecOptions {
  readonly length: number
  readonly maxMeasurement: number
  readonly chunkLength: number
}

export function sumVec(
  field: Field,
  { length, maxMeasurement, chunkLength }: SumVecOptions,
): Circuit<ArrayLike<number>, bigint[]> {
  positive('length', length)
  positive('maxMeasurement', maxMeasurement)
  positive('chunkLength', chunkLength)
  const numbers = bitWeights(maxMeasurement)
  const weights = encode(field, numbers)
  const { sum, ...check } = bitCheck(field, length * numbers.length, chunkLength)
  return {
    ...check,
    field,
    outputLength: length,
    checkCount: 1,
    encode(values) {
      if (values.length !== length) throw new RangeError(`expected ${length} integers, got ${values.length}`)
      return encodeBits(
        field,
        Array.from(values).flatMap((value) => {
          inRange(value, maxMeasurement)
          return rangeBits(value, maxMeasurement)
        }),
      )
    },
    checks: (_, outputs) => sum(outputs),
    truncate: (measurement) => field.dot(measurement, weights),
    decode: (sums) => [...sums],
  }
}

export function inRange(value: number, max: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= max)) {
    throw new RangeError(`expected integers from 0 to ${max}, got one outside`)
  }
}
