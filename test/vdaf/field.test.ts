// Both implementations of both fields against each other and against the algebra, with the values at the edges; the reference
// against another author's implementation (draft-08, whose fields are the same).
import { Prio3Count, Prio3SumVec } from '@divviup/prio3'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decode,
  encode,
  FIELD64,
  FIELD128,
  type Field,
  type FieldParameters,
  power,
  rootsOfUnity,
} from '../../src/vdaf/field.ts'
import { field64, field128 } from '../../src/vdaf/field-kernel.ts'
import { referenceField } from '../../src/vdaf/field-reference.ts'

interface OtherField {
  readonly modulus: bigint
  readonly generator: bigint
  readonly genOrder: bigint
  encode(values: bigint[]): Uint8Array
}
const otherField = (prio3: object): OtherField => (prio3 as { flp: { field: OtherField } }).flp.field

/** Elements, often at the edges of the field or of its 32- and 64-bit limbs. */
function element({ modulus, size }: FieldParameters): fc.Arbitrary<bigint> {
  const edges = [0n, 1n, 2n, modulus - 1n, modulus - 2n, (modulus - 1n) / 2n]
  for (let bit = 31n; bit < BigInt(8 * size); bit += 1n) {
    edges.push(2n ** bit - 1n, 2n ** bit, modulus - 2n ** bit)
  }
  return fc.oneof(
    fc.bigInt({ min: 0n, max: modulus - 1n }),
    fc.constantFrom(...edges.map((edge) => ((edge % modulus) + modulus) % modulus)),
    // One limb all ones, all zeros or of the modulus: where carries and borrows meet.
    fc
      .tuple(
        fc.constantFrom(0n, 2n ** 64n - 1n, 2n ** 64n - 28n, 1n, 2n ** 63n),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.boolean(),
      )
      .map(([special, other, low]) => (low ? (other << 64n) | special : (special << 64n) | other) % modulus),
  )
}

for (const [kernel, parameters, other] of [
  [field64, FIELD64, otherField(new Prio3Count({ shares: 2 }))],
  [field128, FIELD128, otherField(new Prio3SumVec({ shares: 2, length: 1, bits: 1, chunkLength: 1 }))],
] as const) {
  const reference = referenceField(parameters)
  const { name, modulus, size } = parameters
  const one = element(parameters)
  const vector = (length: number) =>
    fc.array(one, { minLength: length, maxLength: length }).map((values) => encode(parameters, values))
  const same = (run: (field: Field) => Uint8Array): void => {
    // By hex: a deep comparison of long arrays costs more than the arithmetic.
    expect(Buffer.from(run(kernel)).toString('hex')).toBe(Buffer.from(run(reference)).toString('hex'))
  }

  describe(name, () => {
    it('is the field of draft-08 too', () => {
      expect({ modulus, generator: parameters.generator, order: 2n ** BigInt(parameters.logOrder) }).toEqual({
        modulus: other.modulus,
        generator: other.generator,
        order: other.genOrder,
      })
      expect(encode(parameters, [5n, modulus - 1n])).toEqual(new Uint8Array(other.encode([5n, modulus - 1n])))
    })

    it('adds, subtracts and multiplies as BigInt does', () => {
      fc.assert(
        fc.property(vector(50), vector(50), (a, b) => {
          same((field) => field.add(a, b))
          same((field) => field.sub(a, b))
          same((field) => field.mul(a, b))
        }),
        { numRuns: 50 },
      )
    })

    it('adds, subtracts and multiplies 90,000 pairs, mostly of edges', () => {
      const edges = fc.sample(one, { numRuns: 300, seed: 1 })
      const a = encode(
        parameters,
        edges.flatMap((x) => edges.map(() => x)),
      )
      const b = encode(
        parameters,
        edges.flatMap(() => edges),
      )
      for (const op of ['add', 'sub', 'mul'] as const) same((field) => field[op](a, b))
    })

    it('agrees on polynomials, powers, products and wires', () => {
      fc.assert(
        fc.property(
          fc
            .integer({ min: 0, max: 4 })
            .chain((log) => fc.tuple(fc.constant(2 ** log), vector(4 * 2 ** log))),
          vector(1),
          ([n, rows], t) => {
            same((field) => field.double(rows, n))
            same((field) => field.weights(t, n))
            same((field) => field.pairs(rows, n))
            same((field) => field.powers(rows, 3))
            same((field) => field.dot(rows, rows.subarray(0, n * size)))
          },
        ),
        { numRuns: 30 },
      )
      fc.assert(
        fc.property(
          fc
            .record({ n: fc.integer({ min: 1, max: 17 }), chunk: fc.integer({ min: 1, max: 6 }) })
            .chain(({ n, chunk }) =>
              fc.tuple(
                fc.constant(chunk),
                vector(n),
                vector(Math.ceil(n / chunk)),
                vector(2 * chunk),
                vector(1),
              ),
            ),
          ([chunk, x, joint, seeds, constant]) => {
            same((field) => field.wires(x, joint, seeds, { chunk, width: 32, constant }))
          },
        ),
        { numRuns: 30 },
      )
    })

    it('evaluates a polynomial given by values: weights at t, and doubling', () => {
      fc.assert(
        fc.property(fc.array(one, { minLength: 8, maxLength: 8 }), one, (coefficients, t) => {
          const at = (x: bigint): bigint => coefficients.reduceRight((sum, c) => (sum * x + c) % modulus, 0n)
          const values = encode(parameters, decode(parameters, rootsOfUnity(parameters, 8)).map(at))
          const weights = kernel.weights(encode(parameters, [t]), 8)
          expect(decode(parameters, kernel.dot(values, weights))).toEqual([at(t)])
          expect(decode(parameters, kernel.double(values, 8))).toEqual(
            decode(parameters, rootsOfUnity(parameters, 16)).map(at),
          )
        }),
      )
    })

    it('has roots of unity of exactly their order', () => {
      for (const n of [2, 4, 1024]) {
        const root = decode(parameters, rootsOfUnity(parameters, n))[1] ?? 0n
        expect(power(root, BigInt(n / 2), modulus)).toBe(modulus - 1n)
      }
    })

    it('tells canonical elements from others', () => {
      const raw = (value: bigint): Uint8Array => {
        const bytes = new Uint8Array(size)
        for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n)
        return bytes
      }
      const cases: [bigint, boolean][] = [
        [0n, true],
        [modulus - 1n, true],
        [modulus, false],
        [modulus + 1n, false],
        [2n ** BigInt(8 * size) - 1n, false],
        [modulus - 2n, true],
      ]
      for (const [value, canonical] of cases) {
        const inside = new Uint8Array([...raw(3n), ...raw(value), ...raw(4n)])
        expect(kernel.isCanonical(inside)).toBe(canonical)
        expect(reference.isCanonical(inside)).toBe(canonical)
      }
    })

    it('changes none of its arguments, and refuses vectors that do not fit', () => {
      const a = encode(parameters, [1n, modulus - 1n])
      const before = a.slice()
      kernel.add(a, a)
      kernel.mul(a, a)
      kernel.double(a, 2)
      expect(a).toEqual(before)
      const short = encode(parameters, [1n])
      for (const field of [kernel, reference]) {
        expect(() => field.add(a, short)).toThrow(
          new RangeError(`expected vectors of one length, got ${2 * size} and ${size} bytes`),
        )
        expect(() => field.dot(encode(parameters, [1n, 2n, 3n]), a)).toThrow(
          new RangeError(`expected rows of ${2 * size} bytes, got ${3 * size} bytes`),
        )
      }
    })

    it('encodes negative integers and reads back what it wrote', () => {
      expect(decode(parameters, encode(parameters, [-1, 0, 7n, -modulus]))).toEqual([
        modulus - 1n,
        0n,
        7n,
        0n,
      ])
    })
  })
}
