// What DP-FedAvg, DP-FTRL and central DP ask of the trainer: the least noise that reaches the asked epsilon under either adjacency, by a
// sampling that it has a theorem for, and settings that reach the job.
import { describe, expect, it } from 'vitest'
import { centralDp } from '../../src/compare/arms/central-dp.ts'
import { dpFedAvg, dpFtrl } from '../../src/compare/arms/federated.ts'
import { epsilonSpent } from '../../src/compare/epsilon.ts'
import { askedOf } from './asked.ts'

interface Federated {
  readonly sampling: 'all' | 'poisson' | 'fixed' | 'cycle'
  readonly cohort: number | null
  readonly rounds: number
  readonly clip: { readonly kind: string; readonly bound?: number }
  readonly noiseMultiplier: number
  readonly processes: unknown
  readonly server: { readonly optimiser: string }
  readonly lora: unknown
}

const delta = 3e-6

describe('dp-fedavg', () => {
  it.each([
    ['add-remove', 1, 'all'],
    ['add-remove', 0.2, 'poisson'],
    ['substitution', 1, 'all'],
    ['substitution', 0.2, 'fixed'],
  ] as const)('spends what was asked under %s with %d of the clients', async (adjacency, rate, sampling) => {
    const job = await askedOf<Federated>(dpFedAvg, 3, { rate }, adjacency)
    expect(job.sampling).toBe(sampling)
    const spent = epsilonSpent(
      [
        {
          sigma: job.noiseMultiplier * (job.clip.bound as number),
          clip: job.clip.bound as number,
          releases: job.rounds,
          cohort: job.cohort ?? 1000,
          clients: 1000,
          sampling,
          contributions: 'signed',
          maxParticipations: job.rounds,
        },
      ],
      { delta, adjacency },
    )
    expect(spent).toBeLessThanOrEqual(3)
    expect(spent).toBeGreaterThan(2.99)
  })

  it('needs twice the noise under substitution, where updates are signed', async () => {
    const noise = async (adjacency: 'add-remove' | 'substitution') =>
      (await askedOf<Federated>(dpFedAvg, 3, {}, adjacency)).noiseMultiplier
    expect((await noise('substitution')) / (await noise('add-remove'))).toBeCloseTo(2, 4)
  })

  it('has a process for each GPU, and its settings reach the job', async () => {
    const job = await askedOf<Federated>(dpFedAvg, 3, { server: 'adam', loraRank: 4, adaptiveClip: true })
    expect(job).toMatchObject({
      processes: 'auto',
      server: { optimiser: 'adam' },
      lora: { rank: 4, alpha: 8 },
      clip: { kind: 'adaptive', initial: 0.1 },
    })
  })

  it('is unbounded only without noise', async () => {
    expect(await askedOf<Federated>(dpFedAvg, Number.POSITIVE_INFINITY, { clip: null })).toMatchObject({
      clip: { kind: 'none' },
      noiseMultiplier: 0,
    })
    await expect(askedOf(dpFedAvg, 3, { clip: null })).rejects.toMatchObject({
      code: 'config',
      message: 'clip: expected an L2 bound at epsilon 3, got null',
    })
  })
})

describe('dp-ftrl', () => {
  it.each(['add-remove', 'substitution'] as const)(
    'is one Gaussian mechanism under %s',
    async (adjacency) => {
      const job = await askedOf<Federated>(dpFtrl, 3, { rounds: 20, period: 4 }, adjacency)
      expect(job).toMatchObject({ sampling: 'cycle', cohort: 250, noise: 'banded', processes: 'auto' })
      const sensitivity = 1.7
      const spent = epsilonSpent(
        [
          {
            // The job multiplies by the sensitivity of the matrix that it makes.
            sigma: job.noiseMultiplier * sensitivity * 0.1,
            clip: 0.1,
            matrix: { sensitivity },
            releases: 20,
            cohort: 250,
            clients: 1000,
            sampling: 'fixed',
            contributions: 'signed',
            maxParticipations: 5,
          },
        ],
        { delta, adjacency },
      )
      expect(spent).toBeLessThanOrEqual(3)
      expect(spent).toBeGreaterThan(2.99)
    },
  )
})

it('dp-ftrl has its period whatever the number of clients, and no noise to correlate without a bound', async () => {
  for (const period of [4, 7, 300]) {
    const job = await askedOf<Federated & { period: number; noise: string }>(dpFtrl, 3, { period })
    expect(job.period).toBe(period)
  }
  expect(await askedOf(dpFtrl, Number.POSITIVE_INFINITY, { clip: null })).toMatchObject({
    clip: { kind: 'none' },
    noise: 'independent',
    noiseMultiplier: 0,
  })
})

describe('central-dp', () => {
  it.each(['add-remove', 'substitution'] as const)('spends what was asked under %s', async (adjacency) => {
    const job = await askedOf<{ noiseMultiplier: number; clip: number; steps: number; batch: number | null }>(
      centralDp,
      3,
      { steps: 20 },
      adjacency,
    )
    const spent = epsilonSpent(
      [
        {
          sigma: job.noiseMultiplier * job.clip,
          clip: job.clip,
          releases: job.steps,
          cohort: job.batch ?? 1000,
          clients: 1000,
          sampling: job.batch === null ? 'all' : 'poisson',
          contributions: 'signed',
          maxParticipations: job.steps,
        },
      ],
      { delta, adjacency },
    )
    expect(spent).toBeLessThanOrEqual(3)
    expect(spent).toBeGreaterThan(2.97)
  })
})
