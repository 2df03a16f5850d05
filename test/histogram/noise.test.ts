import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { addNoise, noisyVotes, sigmaInSteps } from '../../src/histogram/noise.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'
import { chiSquareRoundedNormal } from '../privacy/chi-square.ts'

const normalised = voteBound({ mode: 'normalised', maxTextsPerClient: 4, neighbours: 1 })
const counts = voteBound({ mode: 'counts', maxTextsPerClient: 8, neighbours: 2 })
const multihot = voteBound({ mode: 'multihot', maxTextsPerClient: 4, neighbours: 1, maxCandidates: 3 })

/** How many values have come before, at whatever distance. */
const repeats = (values: readonly number[]) => values.length - new Set(values).size

describe('noise', () => {
  // The audit looks for noise that neighbours share; a generator that repeats itself further off is seen here.
  it('uses no draw twice, in one release or in two', () => {
    const draw = (): readonly number[] =>
      addNoise(
        new ExactVotes(4096, counts, false),
        { type: 'gaussian', noiseMultiplier: 10 },
        1,
        systemRandom(),
      ).steps
    const first = draw()
    // 8,192 draws with sigma 7.4e6 agree in 33.5 million x 3.8e-8 = 1.3 pairs; 20 and more have a probability below 1e-16.
    expect(repeats([...first, ...draw()])).toBeLessThan(20)
    expect(repeats([...first.slice(0, 2048), ...first.slice(0, 2048)])).toBeGreaterThan(2000)
  })

  // alpha = 1e-6, n = 300,000 candidates, at scales other than 1 and with both sensitivities.
  it.each([
    ['normalised', normalised, 2.31, 1],
    ['normalised, substitution', normalised, 11.3, Math.SQRT2],
    ['counts', counts, 1.5, 1],
    ['multihot', multihot, 4, 1],
  ])(
    '%s: the noise that is added has the standard deviation that is accounted for',
    (_, bound, multiplier, factor) => {
      const votes = new ExactVotes(300_000, bound, false)
      const histogram = addNoise(
        votes,
        { type: 'gaussian', noiseMultiplier: multiplier },
        factor,
        systemRandom(),
      )
      const wanted = multiplier * factor * Math.sqrt(Number(bound.squared))
      expect(histogram.sigma).toBeGreaterThanOrEqual(wanted)
      expect(histogram.sigma - wanted).toBeLessThan(0.002)
      const test = chiSquareRoundedNormal(histogram.steps, histogram.sigma, 0.002)
      expect(test.statistic).toBeLessThan(test.critical)
    },
  )

  it('is added to the votes, each candidate with its own draw', () => {
    const votes = new ExactVotes(4, normalised, false)
    for (let i = 0; i < 10_000; i++) votes.add({ indices: [2], steps: [65536n] })
    const noisy = noisyVotes(addNoise(votes, { type: 'gaussian', noiseMultiplier: 1 }, 1, systemRandom()))
    expect(Math.abs((noisy[2] as number) - 10_000)).toBeLessThan(8)
    for (const i of [0, 1, 3]) expect(Math.abs(noisy[i] as number)).toBeLessThan(8)
    expect(new Set(noisy).size).toBe(4)
  })

  it('is never left out for private texts, and only on request for simulation texts', () => {
    expect(() =>
      addNoise(new ExactVotes(2, normalised, false), { type: 'exact' }, 1, systemRandom()),
    ).toThrow('votes of private texts are never released without noise')
    const simulated = new ExactVotes(2, normalised, true)
    simulated.add({ indices: [1], steps: [65536n] })
    expect(Array.from(noisyVotes(addNoise(simulated, { type: 'exact' }, 1, systemRandom())))).toEqual([0, 1])
  })

  it('has a rational sigma that is rounded up', () => {
    const { numerator, denominator } = sigmaInSteps(1 / 3, 1, multihot)
    expect(Number(numerator) / Number(denominator)).toBeGreaterThanOrEqual(Math.sqrt(3) / 3)
  })
})

describe('exact votes', () => {
  it('cannot be printed, logged or serialised', () => {
    const votes = new ExactVotes(2, normalised, false)
    votes.add({ indices: [1], steps: [43210n] })
    const shown = [
      JSON.stringify({ votes }),
      String(votes),
      `${votes}`,
      inspect(votes, { depth: 9, showHidden: true }),
    ]
    for (const text of [
      ...shown,
      JSON.stringify(Object.entries(votes), (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
    ]) {
      expect(text).not.toContain('43210')
    }
  })
})
