// No floats from the clipped vote to the release (and no Math.random): every place on that path that could make a number
// that is not an integer is listed here with the reason why it may. A new one fails, until somebody gives a reason.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fractionsIn } from './fractions.ts'

const SRC = resolve(import.meta.dirname, '../../src')
const PATH = [
  'histogram/clip.ts',
  'histogram/exact-votes.ts',
  'histogram/noise.ts',
  'histogram/release.ts',
  'histogram/release-once.ts',
  // The helper's noise on its own share.
  'federation/helper/release-share.ts',
  'privacy/private-random.ts',
  'privacy/bernoulli.ts',
  'privacy/rounded-gaussian.ts',
  'privacy/discrete-laplace.ts',
  'privacy/discrete-gaussian.ts',
]

/** Where a float may be, by file and function, and why. */
const REASONS: Record<string, string> = {
  'histogram/clip.ts integerSqrt': 'a first guess, which integer comparisons then correct',
  'histogram/clip.ts clip': 'the public bound as the length of a list, exact below 2^53',
  'histogram/noise.ts sigmaInSteps': 'of public parameters alone, rounded toward more noise',
  'histogram/noise.ts sigmaOfEach': 'the public sigma as a number, to refuse one that is too small',
  'histogram/noise.ts addNoise': 'sigma, which is public',
  'histogram/noise.ts cut':
    'the noised sum as a number, after the noise (what is beyond 2^53 is cut: post-processing), and simulations without noise',
  'histogram/noise.ts noisyVotes': 'after the release',
  'privacy/private-random.ts uniformBelowBig': 'a bound of at most 2^32 as a number, which is exact',
  'privacy/rounded-gaussian.ts rationalAtLeast':
    'of the public sigma alone, rounded up; the product is exact',
}

describe('from the clipped vote to the release', () => {
  it('no float but where a reason is given', () => {
    const found = fractionsIn(SRC, PATH)
    const places = new Set(found.map(({ file, within }) => `${file} ${within}`))
    expect(found.filter(({ file, within }) => !(`${file} ${within}` in REASONS))).toEqual([])
    // No reason outlives its place.
    expect(Object.keys(REASONS).filter((place) => !places.has(place))).toEqual([])
  })

  it('addNoise adds integers: its floats are the result and sigma', () => {
    const lines = fractionsIn(SRC, ['histogram/noise.ts'])
      .filter(({ within }) => within === 'addNoise' || within === 'cut')
      .map(({ code }) => code)
    expect([...new Set(lines)]).toEqual([
      'sigma: Math.hypot(Number(sigma.numerator) / Number(sigma.denominator), before?.sigma ?? 0),',
      'return Number(value > LARGEST ? LARGEST : value < -LARGEST ? -LARGEST : value)',
    ])
  })

  it.each([
    ['privacy/discrete-gaussian.ts', 'const coins = coinsOf(random)', 'if (Math.random() < 0.5) return 0n'],
    ['privacy/rounded-gaussian.ts', 'const magnitude =', 'const u = random.word() / 2 ** 32; void u'],
    ['histogram/exact-votes.ts', 'let previous = -1', 'const f = new Float64Array(3); void f'],
    [
      'histogram/release.ts',
      'const bytes =',
      'const mean = histogram.steps.reduce((a, b) => a + b) / 7; void mean',
    ],
    ['privacy/bernoulli.ts', 'let k = 1n', 'const odds = Number(numerator); void odds'],
    ['privacy/private-random.ts', 'const word = random.word()', 'const jitter = 1e-9; void jitter'],
  ])('a float planted in %s is found', (file, before, planted) => {
    const text = readFileSync(join(SRC, file), 'utf8')
    expect(text).toContain(before)
    const found = fractionsIn(SRC, [file], { [file]: text.replace(before, `${planted}\n  ${before}`) })
    const unexplained = found.filter(({ within }) => !(`${file} ${within}` in REASONS))
    expect(unexplained.map(({ code }) => code)).toContain(planted)
  })

  it('division of bigints is none', () => {
    const file = 'privacy/bernoulli.ts'
    const text = readFileSync(join(SRC, file), 'utf8')
    expect(text).toContain('numerator / denominator; whole')
    expect(fractionsIn(SRC, [file])).toEqual([])
  })
})
