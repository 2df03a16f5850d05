// What the arms FedLPP, DP-SGD on LoRA and plain LoRA ask of the trainer: the least noise that reaches the asked epsilon, by a
// sampling that the adjacency has a theorem for.
import { describe, expect, it } from 'vitest'
import type { Arm } from '../../src/compare/arm.ts'
import { fedlpp } from '../../src/compare/arms/fedlpp.ts'
import { lora, loraDpSgd } from '../../src/compare/arms/lora-dp-sgd.ts'
import { epsilonSpent } from '../../src/compare/epsilon.ts'
import { askedOf } from './asked.ts'

interface Asked {
  readonly method?: string
  readonly sampling: 'all' | 'poisson' | 'fixed'
  readonly cohort: number
  readonly rounds?: number
  readonly steps?: number
  readonly clip: number
  readonly noiseMultiplier: number | null
}

const asked = (
  arm: Arm,
  epsilon: number,
  settings: Record<string, unknown>,
  adjacency?: 'add-remove' | 'substitution',
) => askedOf<Asked>(arm, epsilon, settings, adjacency)

const spent = (job: Asked, adjacency: 'add-remove' | 'substitution') =>
  epsilonSpent(
    [
      {
        sigma: (job.noiseMultiplier ?? 0) * job.clip,
        clip: job.clip,
        releases: (job.rounds ?? job.steps) as number,
        cohort: job.cohort,
        clients: 1000,
        sampling: job.sampling,
        contributions: 'signed',
        maxParticipations: 1,
      },
    ],
    { delta: 3e-6, adjacency },
  )

describe('the noise of FedLPP', () => {
  it.each([
    [{ sampling: 'all', rounds: 20 }, 1.29, 14.14],
    [{ sampling: 'all', rounds: 20 }, 7.58, 2.94],
    [{ rate: 0.05, rounds: 20 }, 7.58, 0.595],
  ])('with %j at epsilon %d is %d times the clip', async (settings, epsilon, expected) => {
    const { noiseMultiplier } = await asked(fedlpp, epsilon, settings)
    expect((noiseMultiplier as number) / expected).toBeCloseTo(1, 2)
  })
})

describe.each([
  ['fedlpp', fedlpp, { rounds: 2 }],
  ['lora-dp-sgd', loraDpSgd, { steps: 2 }],
] as const)('%s', (_, arm, settings) => {
  it.each([
    ['add-remove', 'all'],
    ['substitution', 'all'],
    ['substitution', 'fixed'],
  ] as const)('spends what was asked under %s, drawing %s', async (adjacency, sampling) => {
    const job = await asked(arm, 2, sampling === 'all' ? { ...settings, sampling } : settings, adjacency)
    expect(job.sampling).toBe(sampling)
    const epsilon = spent(job, adjacency)
    expect(epsilon).toBeLessThanOrEqual(2)
    expect(epsilon).toBeGreaterThan(1.99)
  })

  it('adds no noise where epsilon is infinite, and draws by secret coins', async () => {
    const job = await asked(arm, Number.POSITIVE_INFINITY, settings)
    expect(job).toMatchObject({ noiseMultiplier: null, sampling: 'poisson' })
    expect(job.method).not.toBe('dp')
  })
})

it('the rank of LoRA changes nothing of the epsilon of DP-SGD', async () => {
  const noises = [1, 16, 256].map(
    async (rank) => (await asked(loraDpSgd, 2, { rank, sampling: 'all', clip: 0.1 })).noiseMultiplier,
  )
  expect(new Set(await Promise.all(noises)).size).toBe(1)
})

it('plain LoRA asks for no noise, promises nothing, and cannot be told to be private', async () => {
  expect(lora.guarantee).toBe('none')
  expect(await asked(lora, 2, {})).toMatchObject({ method: 'lora-both', noiseMultiplier: null })
  expect(lora.settings.safeParse({ method: 'dp' }).success).toBe(false)
  expect(lora.settings.safeParse({ noiseMultiplier: 1 }).success).toBe(false)
})
