// MultihotCountVec of the VDAF draft (section 7.4.5): each client sends a vector of bits with at most `maxWeight` ones. Such a
// vector has L1 norm <= maxWeight and L2 norm <= sqrt(maxWeight); the sum counts the ones in each place.
import type { Circuit } from '../circuit.ts'
import { concat, encode, type Field, slice } from '../field.ts'
import { bitCheck, bitWeights, encodeBits, positive, rangeBits } from './bits.ts'

export interface MultihotOptions {
  readonly length: number
  readonly maxWeight: number
  readonly chunkLength: number
}

export function multihotCountVec(
  field: Field,
  { length, maxWeight, chunkLength }: MultihotOptions,
): Circuit<ArrayLike<number | boolean>, bigint[]> {
  positive('length', length)
  positive('maxWeight', maxWeight, length)
  positive('chunkLength', chunkLength)
  const weights = bitWeights(maxWeight)
  const { sum, ...check } = bitCheck(field, length + weights.length, chunkLength)
  // The number of ones less the number that the client reported, as one inner product.
  const difference = encode(field, [
    ...new Array<number>(length).fill(1),
    ...weights.map((weight) => -weight),
  ])
  return {
    ...check,
    field,
    outputLength: length,
    checkCount: 2,
    encode(bits) {
      if (bits.length !== length) throw new RangeError(`expected ${length} bits, got ${bits.length}`)
      const encoded = encodeBits(field, bits)
      const weight = Array.from(bits, Number).reduce((sum, bit) => sum + bit, 0)
      if (weight > maxWeight) throw new RangeError(`expected at most ${maxWeight} ones, got ${weight}`)
      return concat(encoded, encodeBits(field, rangeBits(weight, maxWeight)))
    },
    checks: (measurement, outputs) => concat(sum(outputs), field.dot(measurement, difference)),
    truncate: (measurement) => slice(field, measurement, 0, length).slice(),
    decode: (sums) => [...sums],
  }
}
