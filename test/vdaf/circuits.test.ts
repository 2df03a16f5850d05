// The circuits: numbers in bits, what each accepts, and the proof system against another author's (draft-08).
import { Prio3Count as OtherCount, Prio3SumVec as OtherSumVec } from '@divviup/prio3'
import { describe, expect, it } from 'vitest'
import type { Circuit } from '../../src/vdaf/circuit.ts'
import { bitWeights, rangeBits } from '../../src/vdaf/circuits/bits.ts'
import { count } from '../../src/vdaf/circuits/count.ts'
import { histogram } from '../../src/vdaf/circuits/histogram.ts'
import { l1BoundSum } from '../../src/vdaf/circuits/l1-bound-sum.ts'
import { multihotCountVec } from '../../src/vdaf/circuits/multihot-count-vec.ts'
import { sum } from '../../src/vdaf/circuits/sum.ts'
import { sumVec } from '../../src/vdaf/circuits/sum-vec.ts'
import { concat, decode, encode, type Vector } from '../../src/vdaf/field.ts'
import { field64, field128 } from '../../src/vdaf/field-kernel.ts'
import { decide, flpLengths, prove, query } from '../../src/vdaf/flp.ts'
import { expandIntoVector } from '../../src/vdaf/xof.ts'

/** Uniform elements: fast-check would favour edges, which are roots of unity. */
const randomVector = ({ field }: Circuit<never, unknown>, length: number): Vector =>
  expandIntoVector(field, length, {
    seed: crypto.getRandomValues(new Uint8Array(32)),
    tag: new Uint8Array(8),
    binder: new Uint8Array(0),
  })

/** Whether the proof system accepts an encoded measurement, in one share or split into three. */
function accepts(
  circuit: Circuit<never, unknown>,
  values: readonly (number | bigint)[],
  shares = 1,
): boolean {
  const { field } = circuit
  const lengths = flpLengths(circuit)
  const measurement = encode(field, values)
  const jointRand = randomVector(circuit, circuit.jointRandLength)
  const queryRand = randomVector(circuit, lengths.queryRand)
  const proof = prove(circuit, measurement, randomVector(circuit, lengths.proveRand), jointRand)
  const split = (whole: Vector): Vector[] => {
    const others = Array.from({ length: shares - 1 }, () => randomVector(circuit, whole.length / field.size))
    return [others.reduce((rest, other) => field.sub(rest, other), whole), ...others]
  }
  const proofs = split(proof)
  const verifiers = split(measurement).map((share, i) =>
    query(circuit, { measurement: share, proof: proofs[i] ?? proof, queryRand, jointRand, shares }),
  )
  return decide(
    circuit,
    verifiers.reduce((total, verifier) => field.add(total, verifier)),
  )
}

describe('numbers in bits', () => {
  it('every number up to the largest has bits, and no bits say more', () => {
    for (let max = 1; max <= 70; max++) {
      const weights = bitWeights(max)
      expect(weights.reduce((total, weight) => total + weight)).toBe(max)
      for (let value = 0; value <= max; value++) {
        const bits = rangeBits(value, max)
        expect(bits.every((bit) => bit === 0 || bit === 1)).toBe(true)
        expect(bits.reduce((total, bit, i) => total + bit * (weights[i] ?? 0), 0)).toBe(value)
      }
    }
    expect(rangeBits(2 ** 31 - 1, 2 ** 31 - 1)).toEqual(new Array(31).fill(1))
  })
})

describe.each([field64, field128])('circuits over $name', (field) => {
  const cases: [string, Circuit<never, unknown>, (number | bigint)[][], (number | bigint)[][]][] = [
    ['Count', count(field), [[0], [1]], [[2], [-1]]],
    [
      'Sum',
      sum(field, { maxMeasurement: 5 }),
      [
        [0, 0, 0],
        [1, 1, 1],
      ],
      [
        [2, 0, 0],
        [0, 0, -1],
        [1n << 40n, 1, 1],
      ],
    ],
    [
      'SumVec',
      sumVec(field, { length: 2, maxMeasurement: 3, chunkLength: 3 }),
      [
        [0, 0, 0, 0],
        [1, 0, 1, 1],
      ],
      [
        [2, 0, 0, 0],
        [0, 0, 0, -1],
      ],
    ],
    [
      'Histogram',
      histogram(field, { length: 4, chunkLength: 3 }),
      [
        [1, 0, 0, 0],
        [0, 0, 0, 1],
      ],
      [
        [0, 0, 0, 0],
        [1, 1, 0, 0],
        [2, -1, 0, 0],
        [2, 0, 0, 0],
      ],
    ],
    [
      // Weights of the reported number: 1, 1 (so 2 = 1 + 1).
      'MultihotCountVec',
      multihotCountVec(field, { length: 4, maxWeight: 2, chunkLength: 4 }),
      [
        [0, 0, 0, 0, 0, 0],
        [1, 0, 0, 1, 1, 1],
        [0, 1, 0, 0, 0, 1],
      ],
      [
        [1, 1, 1, 0, 1, 1],
        [1, 1, 1, 0, 2, 1],
        [2, 0, 0, 0, 1, 1],
        [2, -1, 0, 0, 1, 0],
        [0, 0, 0, 0, 1, 0],
        [-1, 0, 0, 0, -1, 0],
      ],
    ],
    [
      // Weights of a number: 1, 1; two entries and their sum.
      'L1BoundSum',
      l1BoundSum(field, { length: 2, maxValue: 2, chunkLength: 3 }),
      [
        [0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 1, 1],
        [1, 0, 0, 1, 1, 1],
      ],
      [
        [1, 1, 1, 0, 1, 1],
        [1, 1, 1, 0, 2, 1],
        [1, 0, 0, 0, 1, 1],
        [2, -1, 0, 0, 1, 0],
      ],
    ],
  ]

  it.each(cases)(
    '%s accepts what is valid and nothing else, in 1 and in 3 shares',
    (_, circuit, valid, invalid) => {
      for (const shares of [1, 3]) {
        for (const values of valid) expect(accepts(circuit, values, shares)).toBe(true)
        for (const values of invalid) expect(accepts(circuit, values, shares)).toBe(false)
      }
    },
  )

  it('refuse measurements outside of their range', () => {
    expect(() => histogram(field, { length: 3, chunkLength: 1 }).encode(3)).toThrow(
      new RangeError('expected a bucket from 0 to 2, got 3'),
    )
    expect(() => sum(field, { maxMeasurement: 3 }).encode(4)).toThrow(
      new RangeError('expected integers from 0 to 3, got one outside'),
    )
    expect(() => sumVec(field, { length: 2, maxMeasurement: 3, chunkLength: 1 }).encode([1])).toThrow(
      new RangeError('expected 2 integers, got 1'),
    )
    const bounded = l1BoundSum(field, { length: 2, maxValue: 3, chunkLength: 1 })
    expect(() => bounded.encode([2, 2])).toThrow(new RangeError('expected a sum of at most 3, got 4'))
    expect(() => bounded.encode([4, 0])).toThrow('expected integers from 0 to 3, got one outside')
    expect(() => count(field).encode(2)).toThrow('expected integers from 0 to 1')
  })

  it('a histogram has one 1, at its bucket', () => {
    const circuit = histogram(field, { length: 5, chunkLength: 2 })
    for (let bucket = 0; bucket < 5; bucket++) {
      expect(decode(field, circuit.encode(bucket))).toEqual(
        Array.from({ length: 5 }, (_, i) => (i === bucket ? 1n : 0n)),
      )
    }
  })
})

it('a query at a root of unity is refused', () => {
  const circuit = count(field64)
  const one = encode(field64, [1])
  for (const root of [one, encode(field64, [-1])]) {
    expect(() =>
      query(circuit, {
        measurement: one,
        proof: encode(field64, [1, 2, 3, 4, 5]),
        queryRand: root,
        jointRand: new Uint8Array(0),
        shares: 1,
      }),
    ).toThrow('the query point of this report is a root of unity')
  }
})

describe('the proof system of draft-08, which gives polynomials by coefficients', () => {
  interface OtherFlp {
    prove(measurement: bigint[], proveRand: bigint[], jointRand: bigint[]): bigint[]
    query(
      measurement: bigint[],
      proof: bigint[],
      queryRand: bigint[],
      jointRand: bigint[],
      shares: number,
    ): bigint[]
  }
  // Its joint randomness is one element r with powers through the whole vector: ours is the same for one chunk, and for
  // chunks of one with r, r^2, r^3, ...
  const shapes: [string, object, Circuit<never, unknown>, bigint[], (r: bigint) => bigint[]][] = [
    ['Count', new OtherCount({ shares: 2 }), count(field64), [1n], () => []],
    [
      'SumVec in one chunk',
      new OtherSumVec({ shares: 2, length: 6, bits: 1, chunkLength: 6 }),
      sumVec(field128, { length: 6, maxMeasurement: 1, chunkLength: 6 }),
      [1n, 0n, 0n, 1n, 1n, 0n],
      (r) => [r],
    ],
    [
      'SumVec in chunks of one',
      new OtherSumVec({ shares: 2, length: 3, bits: 2, chunkLength: 1 }),
      sumVec(field128, { length: 3, maxMeasurement: 3, chunkLength: 1 }),
      [1n, 0n, 0n, 1n, 1n, 0n],
      (r) => Array.from({ length: 6 }, (_, i) => r ** BigInt(i + 1)),
    ],
  ]

  it.each(shapes)('%s: the same verifier', (_, other, circuit, measurement, joint) => {
    const { flp } = other as { flp: OtherFlp }
    const { field } = circuit
    const lengths = flpLengths(circuit)
    const numbers = (length: number) => decode(field, randomVector(circuit, length))
    const proveRand = numbers(lengths.proveRand)
    const queryRand = numbers(lengths.queryRand)
    const [r = 0n] = numbers(1)
    const theirs = measurement.length === 1 ? [] : [r]
    const ours = encode(field, joint(r))
    const proof = prove(circuit, encode(field, measurement), encode(field, proveRand), ours)
    const shareOf = (whole: bigint[]) => whole.map((value) => (value + 12345n) % field.modulus)
    for (const change of [(values: bigint[]) => values, shareOf]) {
      const input = change(measurement)
      const verifier = query(circuit, {
        measurement: encode(field, input),
        proof,
        queryRand: encode(field, queryRand),
        jointRand: ours,
        shares: 2,
      })
      const otherProof = flp.prove(measurement, proveRand, theirs)
      expect(decode(field, verifier)).toEqual(flp.query(input, otherProof, queryRand, theirs, 2))
    }
    expect(concat(proof)).toHaveLength(lengths.proof * field.size)
  })
})
