// The epsilon of an arm follows from what its run did, and a run that did something else than asked is refused.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  calibrateMechanisms,
  checkSpent,
  type EpsilonTerms,
  epsilonSpent,
  eventsOf,
} from '../../src/compare/epsilon.ts'
import type { ArmMechanism } from '../../src/finetune/arm-job.ts'
import { calibrateNoise, epsilonOf, gaussianEpsilon } from '../../src/privacy/index.ts'

const addRemove: EpsilonTerms = { delta: 3e-6, adjacency: 'add-remove' }
const substitution: EpsilonTerms = { delta: 3e-6, adjacency: 'substitution' }

const mechanism = (change: Partial<ArmMechanism> = {}): ArmMechanism => ({
  sigma: 11.3,
  clip: 1,
  releases: 11,
  cohort: 1250,
  clients: 1250,
  sampling: 'all',
  contributions: 'signed',
  maxParticipations: 11,
  ...change,
})

describe('the epsilon of a run', () => {
  it('is that of the paper’s noise: sigma 11.3 over 11 rounds is 1.189', () => {
    expect(epsilonSpent([mechanism()], addRemove)).toBeCloseTo(1.188956, 5)
    expect(epsilonSpent([mechanism({ sigma: 2.31 })], addRemove)).toBeCloseTo(7.0801, 3)
  })

  it('counts noise on the sum by the clip, and releases one by one or together alike', () => {
    const clipped = [mechanism({ sigma: 1.13, clip: 0.1 })]
    const single = Array.from({ length: 11 }, () => mechanism({ releases: 1 }))
    expect(epsilonSpent(clipped, addRemove)).toBeCloseTo(epsilonSpent([mechanism()], addRemove), 9)
    expect(epsilonSpent(single, addRemove)).toBeCloseTo(epsilonSpent([mechanism()], addRemove), 9)
  })

  it('under substitution moves signed updates by twice the bound, votes by sqrt 2', () => {
    const signed = epsilonSpent([mechanism()], substitution)
    const votes = epsilonSpent([mechanism({ contributions: 'non-negative' })], substitution)
    expect(signed).toBeCloseTo(epsilonSpent([mechanism({ sigma: 11.3 / 2 })], addRemove), 9)
    expect(votes).toBeCloseTo(epsilonSpent([mechanism({ sigma: 11.3 / Math.SQRT2 })], addRemove), 9)
  })

  it('amplifies Poisson samples under add-remove and nothing else', () => {
    const sampled = mechanism({ cohort: 125, sampling: 'poisson', sigma: 2 })
    const all = epsilonSpent([mechanism({ sigma: 2 })], addRemove)
    expect(epsilonSpent([sampled], addRemove)).toBeLessThan(all / 2)
    expect(epsilonSpent([sampled], addRemove)).toBeCloseTo(
      epsilonOf(
        [
          {
            type: 'repeated',
            count: 11,
            event: { type: 'poissonSampled', rate: 0.1, event: { type: 'gaussian', noiseMultiplier: 2 } },
          },
        ],
        3e-6,
      ),
      9,
    )
    expect(epsilonSpent([sampled], substitution)).toBeCloseTo(
      epsilonSpent([mechanism({ sigma: 2 })], substitution),
      9,
    )
  })

  it('replaces who leaves a cohort of a fixed size: twice the bound under add-remove, no amplification', () => {
    const fixed = mechanism({ cohort: 125, sampling: 'fixed', sigma: 4 })
    expect(epsilonSpent([fixed], addRemove)).toBeCloseTo(
      epsilonSpent([mechanism({ sigma: 2 })], addRemove),
      9,
    )
  })

  it('takes correlated noise as one mechanism: mu is sensitivity over sigma, by no number of rounds', () => {
    const matrix = mechanism({ sigma: 3, clip: 0.5, releases: 40, matrix: { sensitivity: 2 } })
    expect(epsilonSpent([matrix], addRemove)).toBeCloseTo(gaussianEpsilon(1 / 3, 3e-6), 9)
  })

  it('adds what was released together inside of one sample', () => {
    const part = (sigma: number) => mechanism({ sigma, cohort: 125, sampling: 'poisson', together: 'both' })
    const joint = 1 / Math.sqrt(1 / 4 + 1 / 9)
    expect(epsilonSpent([part(2), part(3)], addRemove)).toBeCloseTo(
      epsilonSpent([mechanism({ sigma: joint, cohort: 125, sampling: 'poisson' })], addRemove),
      6,
    )
    expect(() => eventsOf([part(2), { ...part(3), releases: 3 }], addRemove)).toThrow(
      'expected mechanisms that were released together ("both")',
    )
  })

  it('protects a client as a group of its texts where texts are bounded', () => {
    const text = mechanism({ sigma: 40, unit: 'text', textsPerClient: 4 })
    expect(epsilonSpent([text], addRemove)).toBeCloseTo(
      epsilonSpent([mechanism({ sigma: 10 })], addRemove),
      9,
    )
    const sampled = { ...text, sampling: 'poisson', cohort: 125 } as const
    const one = epsilonSpent([{ ...sampled, textsPerClient: 1 }], addRemove)
    const group = epsilonSpent([sampled], addRemove)
    expect(group).toBeGreaterThan(4 * one)
    expect(group).toBeLessThan(8 * one)
  })

  it('is infinite without noise or without a bound, and nothing for nothing', () => {
    expect(epsilonSpent([mechanism({ sigma: 0 })], addRemove)).toBe(Number.POSITIVE_INFINITY)
    expect(epsilonSpent([mechanism({ clip: null })], addRemove)).toBe(Number.POSITIVE_INFINITY)
    expect(epsilonSpent([], addRemove)).toBe(0)
  })
})

describe('calibration', () => {
  it('never asks for too little noise, nor for 1% more than it needs', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.3, max: 20, noNaN: true }),
        fc.integer({ min: 1, max: 60 }),
        fc.constantFrom(addRemove, substitution),
        fc.constantFrom('signed' as const, 'non-negative' as const),
        (epsilon, releases, terms, contributions) => {
          const at = (sigma: number) => [mechanism({ sigma, releases, contributions })]
          const spent = epsilonSpent(at(calibrateMechanisms(epsilon, terms, at)), terms)
          expect(spent).toBeLessThanOrEqual(epsilon)
          expect(spent).toBeGreaterThan(epsilon * 0.99)
        },
      ),
      { numRuns: 40 },
    )
  })

  it('agrees with the calibration of runs', () => {
    const at = (sigma: number) => [mechanism({ sigma })]
    expect(calibrateMechanisms(7.58, addRemove, at)).toBeCloseTo(calibrateNoise(7.58, 3e-6, 11), 6)
  })
})

describe('asked and spent', () => {
  it('must agree: more is refused, over 1% less is refused, and both are named', () => {
    expect(() => checkSpent('arm', 1.29, 1.2899)).not.toThrow()
    expect(() => checkSpent('arm', 1.29, 1.3)).toThrow(
      'arm: expected a run of epsilon 1.29, got one of epsilon 1.3 by the noise that it really added',
    )
    expect(() => checkSpent('arm', 1.29, 1.27)).toThrow('got one of epsilon 1.27')
    expect(() => checkSpent('arm', 0, 0)).not.toThrow()
    expect(() => checkSpent('arm', 0, 0.5)).toThrow('expected a run of epsilon 0')
  })

  it('hold for runs without noise: they must say so', () => {
    expect(() => checkSpent('arm', Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)).not.toThrow()
    expect(() => checkSpent('arm', Number.POSITIVE_INFINITY, 3)).toThrow('expected a run of epsilon Infinity')
    expect(() => checkSpent('arm', 3, Number.POSITIVE_INFINITY)).toThrow('got one of epsilon Infinity')
  })

  it('catches 10% less noise than an arm claims', () => {
    const asked = 7.58
    const sigma = calibrateNoise(asked, 3e-6, 11)
    const spent = epsilonSpent([mechanism({ sigma: sigma * 0.9 })], addRemove)
    expect(() => checkSpent('dp-fedavg', asked, spent)).toThrow('expected a run of epsilon 7.58, got one of')
  })
})
