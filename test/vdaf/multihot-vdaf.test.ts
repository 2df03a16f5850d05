// What the federation stands on: sums of votes are exact, nothing else comes out, nothing that is passed in is changed.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { flpLengths } from '../../src/vdaf/flp.ts'
import { multihotVdaf } from '../../src/vdaf/index.ts'
import { prio3MultihotCountVec } from '../../src/vdaf/instances.ts'
import { smallestChunk } from '../../src/vdaf/multihot-vdaf.ts'

const context = new TextEncoder().encode('multihot')
const verifyKey = crypto.getRandomValues(new Uint8Array(32))
const nonceOf = () => crypto.getRandomValues(new Uint8Array(16))

type Vdaf = ReturnType<typeof multihotVdaf>

/** Both aggregators' output shares of one vote. */
function verified(vdaf: Vdaf, bits: ArrayLike<number | boolean>): Uint8Array[] {
  const nonce = nonceOf()
  const { publicShare, inputShares } = vdaf.shard(bits, { context, nonce })
  const both = inputShares.map((inputShare, aggregator) =>
    vdaf.verifyInit({ verifyKey, context, nonce, publicShare, inputShare, aggregator }),
  )
  const message = vdaf.verifierSharesToMessage(
    context,
    both.map((one) => one.verifierShare),
  )
  return both.map((one) => vdaf.verifyNext(one.state, message))
}

const column = (outputs: readonly Uint8Array[][], aggregator: number): Uint8Array[] =>
  outputs.map((shares) => shares[aggregator] ?? new Uint8Array(0))

describe.each([false, true])('multihotVdaf, multiproof %s', (multiproof) => {
  it('sums any votes exactly, whatever the shape', () => {
    const shape = fc
      .record({ length: fc.integer({ min: 1, max: 40 }), chunkLength: fc.integer({ min: 1, max: 50 }) })
      .chain(({ length, chunkLength }) =>
        fc.record({
          length: fc.constant(length),
          chunkLength: fc.constantFrom(chunkLength, undefined),
          maxWeight: fc.integer({ min: 1, max: length }),
          votes: fc.array(fc.array(fc.nat(length - 1), { maxLength: length }), { maxLength: 4 }),
        }),
      )
    fc.assert(
      fc.property(shape, ({ length, chunkLength, maxWeight, votes }) => {
        const vdaf = multihotVdaf({
          length,
          maxWeight,
          multiproof,
          ...(chunkLength === undefined ? {} : { chunkLength }),
        })
        const expected = new Array<number>(length).fill(0)
        const outputs = votes.map((places) => {
          const bits = new Uint8Array(length)
          for (const place of [...new Set(places)].slice(0, maxWeight)) bits[place] = 1
          bits.forEach((bit, i) => {
            expected[i] = (expected[i] ?? 0) + bit
          })
          return verified(vdaf, bits)
        })
        const shares = [0, 1].map((aggregator) => vdaf.aggregate(column(outputs, aggregator)))
        expect(vdaf.unshard(shares, votes.length)).toEqual(expected)
      }),
      { numRuns: 40 },
    )
  })

  const vdaf = multihotVdaf({ length: 20, maxWeight: 3, multiproof })

  it('adds noise of either sign to a share, and reads it back with the sum', () => {
    const outputs = [
      verified(vdaf, [1, ...new Array(19).fill(0)]),
      verified(vdaf, [1, ...new Array(19).fill(0)]),
    ]
    const noise = Array.from({ length: 20 }, (_, i) => 1000 * (i - 10))
    const leader = vdaf.addIntegers(vdaf.aggregate(column(outputs, 0)), noise)
    const helper = vdaf.addIntegers(
      vdaf.aggregate(column(outputs, 1)),
      noise.map((value) => BigInt(-3 * value)),
    )
    expect(vdaf.unshardNoisy([leader, helper])).toEqual(
      noise.map((value, i) => (i === 0 ? 2 : 0) - 2 * value),
    )
    expect(() => vdaf.addIntegers(leader, [1])).toThrow(new RangeError('expected 20 integers, got 1'))
  })

  it('refuses sums that no set of reports has', () => {
    const outputs = [verified(vdaf, new Array(20).fill(0)), verified(vdaf, new Array(20).fill(0))]
    const leader = vdaf.aggregate(column(outputs, 0))
    const half = vdaf.aggregate(column(outputs, 1).slice(1))
    expect(() => vdaf.unshard([leader, half], 2)).toThrow(
      'expected every sum to be from 0 to 2, got one outside: the aggregate shares are not of the same reports',
    )
  })

  it('cuts what noise or a moved share puts beyond a safe integer, and refuses nothing', () => {
    const nothing = new Uint8Array(vdaf.sizes.aggregateShare)
    const most = BigInt(Number.MAX_SAFE_INTEGER)
    const far = [most, most + 1n, -most, -most - 1n, 2n ** 62n, -(2n ** 62n), ...new Array(14).fill(7n)]
    const cut = far.map((value) => Number(value > most ? most : value < -most ? -most : value))
    expect(vdaf.unshardNoisy([vdaf.addIntegers(nothing, far), nothing])).toEqual(cut)
  })

  it('aggregates in any order and grouping', () => {
    const outputs = [[0, 1], [1], [19, 4, 2]].map((places) =>
      verified(
        vdaf,
        Array.from({ length: 20 }, (_, i) => places.includes(i)),
      ),
    )
    const [a, b, c] = column(outputs, 0) as [Uint8Array, Uint8Array, Uint8Array]
    const all = vdaf.aggregate([a, b, c])
    expect(vdaf.aggregate([vdaf.aggregate([c, a]), b])).toEqual(all)
    expect(vdaf.aggregate([all, vdaf.aggregate([])])).toEqual(all)
  })

  it('changes none of its arguments and keeps none of them', () => {
    const nonce = nonceOf()
    const rand = crypto.getRandomValues(new Uint8Array(vdaf.sizes.rand))
    const bits = new Uint8Array(20).fill(1, 3, 5)
    const input = { context: context.slice(), nonce, rand }
    const first = vdaf.shard(bits, input)
    const before = structuredClone({ first, input, bits })
    const all = first.inputShares.map((inputShare, aggregator) =>
      vdaf.verifyInit({ verifyKey, context, nonce, publicShare: first.publicShare, inputShare, aggregator }),
    )
    const shares = all.map((one) => one.verifierShare)
    const copies = structuredClone(all)
    const message = vdaf.verifierSharesToMessage(context, shares)
    const outputs = all.map((one) => vdaf.verifyNext(one.state, message))
    vdaf.addIntegers(vdaf.aggregate(outputs), new Array(20).fill(7))
    expect({ first, input, bits }).toEqual(before)
    expect(all).toEqual(copies)
    // What was made does not change when its sources are overwritten.
    rand.fill(0)
    nonce.fill(0)
    expect(first).toEqual(before.first)
  })

  it('draws new shares each time, from the generator of the system', () => {
    const nonce = nonceOf()
    const one = vdaf.shard(new Array(20).fill(0), { context, nonce })
    const two = vdaf.shard(new Array(20).fill(0), { context, nonce })
    expect(one.inputShares[0]).not.toEqual(two.inputShares[0])
    expect(one.inputShares[1]).not.toEqual(two.inputShares[1])
    expect(one.publicShare).not.toEqual(two.publicShare)
  })

  it('the shares of two very different votes look alike: uniform bytes (chi-square, 255 degrees, p > 1e-6)', () => {
    const wide = multihotVdaf({ length: 400, maxWeight: 400, multiproof })
    for (const bit of [0, 1]) {
      const counts = new Array<number>(256).fill(0)
      for (let i = 0; i < 20; i++) {
        const { inputShares } = wide.shard(new Array(400).fill(bit), { context, nonce: nonceOf() })
        // The encoded vote: the proof of Field64's elements has the same form.
        for (const byte of (inputShares[0] ?? new Uint8Array(0)).subarray(0, 400 * 8))
          counts[byte] = (counts[byte] ?? 0) + 1
      }
      const expected = (20 * 400 * 8) / 256
      const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
      expect(chiSquare).toBeLessThan(377)
    }
  })

  it('refuses votes that are none, without quoting them', () => {
    const shard = (bits: number[]) => () => vdaf.shard(bits, { context, nonce: nonceOf() })
    expect(shard([1])).toThrow(new RangeError('expected 20 bits, got 1'))
    expect(shard(new Array(20).fill(1))).toThrow(new RangeError('expected at most 3 ones, got 20'))
    expect(shard([2, ...new Array(19).fill(0)])).toThrow(
      new RangeError('expected every entry to be 0 or 1, got others'),
    )
    expect(shard([0.5, ...new Array(19).fill(0)])).toThrow('expected every entry to be 0 or 1')
    expect(shard([-1, ...new Array(19).fill(0)])).toThrow('expected every entry to be 0 or 1')
    expect(shard([Number.NaN, ...new Array(19).fill(0)])).toThrow('expected every entry to be 0 or 1')
  })
})

describe('its parameters', () => {
  it('are checked', () => {
    expect(() => multihotVdaf({ length: 0, maxWeight: 1 })).toThrow(
      new RangeError('expected length to be an integer from 1 to 2147483647, got 0'),
    )
    expect(() => multihotVdaf({ length: 4, maxWeight: 5 })).toThrow(
      new RangeError('expected maxWeight to be an integer from 1 to 4, got 5'),
    )
    expect(() => multihotVdaf({ length: 4, maxWeight: 2, chunkLength: 1.5 })).toThrow(
      new RangeError('expected chunkLength to be an integer from 1 to 2147483647, got 1.5'),
    )
    expect(() => prio3MultihotCountVec({ length: 4, maxWeight: 2, chunkLength: 2, shares: 1 })).toThrow(
      new RangeError('expected shares to be an integer from 2 to 255, got 1'),
    )
  })

  it('are said', () => {
    const vdaf = multihotVdaf({ length: 1024, maxWeight: 16 })
    expect(vdaf.description).toBe(
      'Prio3MultihotCountVec(Field128, proofs 1, length 1024, maxWeight 16, chunkLength 34)',
    )
  })

  it('make an upload of at most 20 kB, and 13 kB with several proofs, at 1024 candidates and 16 votes', () => {
    expect(multihotVdaf({ length: 1024, maxWeight: 16 }).sizes.upload).toBe(18_720)
    expect(multihotVdaf({ length: 1024, maxWeight: 16, multiproof: true }).sizes.upload).toBe(11_536)
  })

  it('the default chunk length has the shortest proof of all', () => {
    for (const length of [1, 2, 5, 17, 100, 1029]) {
      const proof = (chunkLength: number) =>
        flpLengths(prio3MultihotCountVec({ length, maxWeight: 1, chunkLength }).parameters.circuit).proof
      const shortest = Math.min(...Array.from({ length: length + 1 }, (_, i) => proof(i + 1)))
      expect(proof(smallestChunk(length + 1))).toBe(shortest)
    }
  })
})

describe('soundness', () => {
  it('is what the formula of the draft says, computed by hand for 1024 candidates', () => {
    // Chunks of 34 in 31 calls, wires of 32: (34 + 1) / |F| + 2 * 31 / (|F| - 32).
    expect(multihotVdaf({ length: 1024, maxWeight: 16 }).soundness.bits).toBeCloseTo(128 - Math.log2(97), 6)
    expect(multihotVdaf({ length: 1024, maxWeight: 16, multiproof: true }).soundness.bits).toBeCloseTo(
      3 * (64 - Math.log2(97)),
      6,
    )
  })

  it('holds against a client that searches offline', () => {
    const { soundness } = multihotVdaf({ length: 1024, maxWeight: 16 })
    expect(soundness.against({ queriesBits: 0, reports: 0 })).toBeCloseTo(soundness.bits, 9)
    expect(soundness.against({ queriesBits: 40, reports: 1e9 })).toBeCloseTo(soundness.bits - 40, 2)
  })

  it('is below 2^-110 for every population up to 2^16', () => {
    for (const length of [4, 100, 1024, 4096, 16384, 65536]) {
      for (const multiproof of [false, true])
        expect(multihotVdaf({ length, maxWeight: 4, multiproof }).soundness.bits).toBeGreaterThan(110)
    }
  })
})
