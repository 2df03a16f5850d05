import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type PrivateRandom, systemRandom, uniformBelow } from '../../src/privacy/private-random.ts'
import { type Rational, rationalAtLeast, roundedGaussian } from '../../src/privacy/rounded-gaussian.ts'
import { chiSquareRoundedNormal } from './chi-square.ts'

const N = 2_000_000

function* draws(sigma: Rational, count: number, random: PrivateRandom): Generator<number> {
  for (let i = 0; i < count; i++) yield Number(roundedGaussian(sigma, random))
}

/** The same words every time: for tests of the arithmetic alone. */
function hashRandom(seed: string): PrivateRandom {
  let counter = 0
  let block = Buffer.alloc(0)
  return {
    word() {
      if (block.length === 0) block = createHash('sha256').update(`${seed}:${counter++}`).digest()
      const word = block.readUInt32LE(0)
      block = block.subarray(4)
      return word
    },
  }
}

describe('exact rounded Gaussian', () => {
  // alpha = 1e-6 for each; at scales below, at and above 1, since an error in scaling shows at one of them only.
  it.each([
    [0.5, 4],
    [2.31, 18],
    [11.3, 70],
    [1000, 700],
    [151_388, 900],
  ])(
    'has the distribution of round(sigma Z) at sigma %f (2 million draws, at least %i degrees)',
    (value, degrees) => {
      const sigma = rationalAtLeast(value)
      const exact = Number(sigma.numerator) / Number(sigma.denominator)
      const test = chiSquareRoundedNormal(draws(sigma, N, systemRandom()), exact, value >= 1000 ? 1e-3 : 1e-4)
      expect(test.degrees).toBeGreaterThanOrEqual(degrees)
      expect(test.statistic).toBeLessThan(test.critical)
    },
  )

  it('the test would see 1% less noise', () => {
    const test = chiSquareRoundedNormal(draws(rationalAtLeast(11.3 * 0.99), N, systemRandom()), 11.3, 1e-4)
    expect(test.statistic).toBeGreaterThan(test.critical)
  })

  it('rounds sigma up, never down', () => {
    for (const value of [0.1, 1 / 3, 2.31, 11.3, 99_999.99999]) {
      const { numerator, denominator } = rationalAtLeast(value)
      const rounded = Number(numerator) / Number(denominator)
      expect(rounded).toBeGreaterThanOrEqual(value)
      expect(rounded - value).toBeLessThan(1 / 1024)
    }
    expect(() => rationalAtLeast(0)).toThrow('expected a positive sigma below 2^42, got 0')
    expect(() => roundedGaussian({ numerator: 0n, denominator: 1n }, systemRandom())).toThrow(
      'positive rational sigma',
    )
  })

  it('is the same function of its random words at every call', () => {
    const sigma = rationalAtLeast(5)
    const once = Array.from(draws(sigma, 100, hashRandom('a')))
    expect(Array.from(draws(sigma, 100, hashRandom('a')))).toEqual(once)
    expect(Array.from(draws(sigma, 100, hashRandom('b')))).not.toEqual(once)
  })

  it('never asks for a seeded generator: two draws of the system differ', () => {
    const sigma = rationalAtLeast(1000)
    const a = Array.from(draws(sigma, 64, systemRandom()))
    expect(Array.from(draws(sigma, 64, systemRandom()))).not.toEqual(a)
  })
})

describe('uniform integers', () => {
  it('have no modulo bias: a word in the last, incomplete stretch is drawn again', () => {
    const words = [2 ** 32 - 1, 7]
    expect(uniformBelow({ word: () => words.shift() as number }, 3)).toBe(7 % 3)
    expect(words).toEqual([])
  })

  it('refuse a bad bound', () => {
    expect(() => uniformBelow(systemRandom(), 0)).toThrow(
      'expected an integer bound between 1 and 2^32, got 0',
    )
  })
})
