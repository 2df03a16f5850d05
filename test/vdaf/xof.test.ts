// XofTurboShake128: what the official vector does not reach.
import { turboshake128 } from '@noble/hashes/sha3-addons.js'
import { describe, expect, it } from 'vitest'
import { decode, encode, FIELD64 } from '../../src/vdaf/field.ts'
import { field64, field128 } from '../../src/vdaf/field-kernel.ts'
import { deriveSeed, domainTag, expandIntoVector, sampleVector } from '../../src/vdaf/xof.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

describe('XofTurboShake128', () => {
  it('hashes the length of the tag (2 bytes), the tag, the length of the seed (1 byte), the seed and the binder', () => {
    const tag = new Uint8Array(300).fill(7)
    const message = new Uint8Array([300 & 255, 1, ...tag, 2, 8, 9, ...bytes('binder')])
    expect(deriveSeed({ seed: Uint8Array.of(8, 9), tag, binder: bytes('binder') })).toEqual(
      turboshake128(message, { D: 1, dkLen: 32 }),
    )
  })

  it('formats the tag: version 18, class 0, algorithm, usage, context', () => {
    expect([...domainTag(0xffff0005, 3, bytes('ab'))]).toEqual([18, 0, 255, 255, 0, 5, 0, 3, 97, 98])
    expect(() => domainTag(1, 1, new Uint8Array(65528))).toThrow(
      new RangeError('expected a context of at most 65527 bytes, got 65528'),
    )
  })

  it('gives a longer vector the shorter one as its beginning', () => {
    const input = { seed: new Uint8Array(32), tag: bytes('t'), binder: bytes('b') }
    const long = expandIntoVector(field128, 100, input)
    expect(expandIntoVector(field128, 37, input)).toEqual(long.slice(0, 37 * 16))
  })

  it('skips draws at or above the modulus and reads on', () => {
    const above = new Uint8Array(8).fill(255)
    const stream = [
      above,
      encode(FIELD64, [1]),
      above,
      above,
      encode(FIELD64, [2, 3]),
      above,
      encode(FIELD64, [4]),
    ]
    const all = new Uint8Array(stream.flatMap((part) => [...part]))
    for (const length of [1, 2, 3, 4]) {
      let at = 0
      const next = (count: number): Uint8Array => {
        at += count
        return all.slice(at - count, at)
      }
      expect(decode(FIELD64, sampleVector(field64, length, next))).toEqual([1n, 2n, 3n, 4n].slice(0, length))
    }
  })
})
