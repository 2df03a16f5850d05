// DR-Encoder: the trainer's side (test_dr_encoder.py), the arm from an asked epsilon to a model, and what every analysis says.
import { resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { analysesOf, drEncoder } from '../../src/compare/arms/dr-encoder.ts'
import { checkSpent, epsilonSpent } from '../../src/compare/epsilon.ts'
import type { ArmMechanism } from '../../src/finetune/arm-job.ts'
import { DrEncoderJob } from '../../src/finetune/dr-encoder-job.ts'
import { gaussianEpsilon } from '../../src/privacy/gaussian.ts'
import { python } from '../trainer/python.ts'
import { type ArmGround, armGround } from './arm-ground.ts'
import { armTask } from './arm-task.ts'

let ground: ArmGround
beforeAll(async () => {
  ground = await armGround(12)
}, 900_000)

const run = async (
  epsilon: number,
  settings: Record<string, unknown>,
  adjacency?: 'add-remove' | 'substitution',
) => {
  const { task, said } = await armTask(ground, epsilon, adjacency)
  const wanted = drEncoder.settings.parse({ rounds: 2, autoencoder: { steps: 3 }, ...settings })
  const result = await drEncoder.run(task, wanted)
  expect(said.join('\n') + JSON.stringify(result)).not.toContain(ground.canary)
  return result
}

describe('DR-Encoder', () => {
  it('keeps its promises in the trainer', { timeout: 900_000 }, async () => {
    const inputs = { clients: 'c.jsonl', validation: 'v.jsonl', start: 'start', out: 'out', delta: 1e-5 }
    process.env.PRETEXT_TEST_JOB = JSON.stringify(DrEncoderJob.parse({ kind: 'dr-encoder', ...inputs }))
    const { code, stderr } = await python([resolve(import.meta.dirname, 'test_dr_encoder.py'), '-v'])
    expect(stderr).toMatch(/Ran \d\d tests/)
    expect(code, stderr.slice(-6000)).toBe(0)
  })
})

describe('the arm', () => {
  const terms = { delta: 1e-3, adjacency: 'add-remove' } as const

  it('spends the epsilon that was asked, and not without the noise of stage 1', async () => {
    const { mechanisms, measures } = await run(3, { rate: 0.5 })
    expect(mechanisms.map(({ sampling }) => sampling)).toEqual(['all', 'poisson'])
    checkSpent('dr-encoder', 3, epsilonSpent(mechanisms, terms))
    expect(measures).toMatchObject({ label: 'prior-only' })
    const bare = mechanisms.map((mechanism, i) => (i === 0 ? { ...mechanism, sigma: 0 } : mechanism))
    expect(epsilonSpent(bare, terms)).toBe(Number.POSITIVE_INFINITY)
  })

  it.each(['add-remove', 'substitution'] as const)(
    'spends it by local noise and a prior of public texts too (%s)',
    async (adjacency) => {
      const { mechanisms } = await run(
        3,
        {
          noiseBy: 'local',
          noise: 'pre_encode',
          decode: 'per_client',
          statistics: { source: 'public' },
        },
        adjacency,
      )
      expect(mechanisms).toMatchObject([{ cohort: 1, sampling: 'all', releases: 2, local: true }])
      checkSpent('dr-encoder', 3, epsilonSpent(mechanisms, { ...terms, adjacency }))
      // One message in place of another: twice the bound apart, whatever the adjacency.
      const { sigma, clip } = mechanisms[0] as ArmMechanism
      const mu = (2 * (clip as number) * Math.sqrt(2)) / sigma
      expect(gaussianEpsilon(mu, terms.delta)).toBeCloseTo(3, 3)
    },
  )

  it('refuses a code that nobody is asked for', async () => {
    const public_ = { codec: 'prior-mean', statistics: { source: 'public' } }
    await expect(run(3, public_)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('reads no private text'),
    })
  })

  it('without noise has no epsilon to print', async () => {
    const result = await run(Number.POSITIVE_INFINITY, {})
    expect(epsilonSpent(result.mechanisms, terms)).toBe(Number.POSITIVE_INFINITY)
    expect(result.measures).toMatchObject({ noiseMultiplier: 0, analyses: [] })
  })
})

describe('the analyses', () => {
  const rounds = (sigma: number, rate: number, releases: number): ArmMechanism[] => [
    {
      sigma: sigma * 0.7,
      clip: 0.7,
      releases,
      cohort: 1000 * rate,
      clients: 1000,
      sampling: rate === 1 ? 'all' : 'poisson',
      contributions: 'signed',
      maxParticipations: releases,
    },
  ]
  // dp_accounting 0.4 (PLD, RDP) at delta 3e-6; gdp-clt by the formula of Bu et al. 2020.
  it.each([
    [1, 20, 14.14, { gdp: 1.29, pld: 1.29, rdp: 1.4, 'gdp-clt': 1.29 }],
    [1, 20, 2.94, { gdp: 7.58, pld: 7.58, rdp: 8.11, 'gdp-clt': 7.58 }],
    [0.05, 20, 1.275, { gdp: null, pld: 1.29, rdp: 1.6, 'gdp-clt': 0.81 }],
    [0.05, 20, 0.595, { gdp: null, pld: 7.58, rdp: 9.01, 'gdp-clt': 4.06 }],
    [0.01, 100, 0.878, { gdp: null, pld: 1.29, rdp: 1.91, 'gdp-clt': 0.63 }],
    [0.01, 100, 0.492, { gdp: null, pld: 7.58, rdp: 9.2, 'gdp-clt': 3.53 }],
  ])('of rate %d, %d rounds, noise %d', (rate, releases, sigma, want) => {
    const rows = analysesOf(rounds(sigma, rate, releases), { delta: 3e-6, adjacency: 'add-remove' })
    for (const [name, epsilon] of Object.entries(want)) {
      const row = rows.find(({ accountant }) => accountant === name)
      if (epsilon === null) expect(row?.epsilon).toBeNull()
      else expect(Math.abs((row?.epsilon ?? 0) / epsilon - 1), `${name}: ${row?.epsilon}`).toBeLessThan(0.01)
    }
    const of = (name: string) => rows.find(({ accountant }) => accountant === name)
    expect(of('rdp')?.epsilon).toBeGreaterThan(of('pld')?.epsilon ?? 0)
    expect(of('gdp-clt')?.what).toMatch(/no bound/)
  })

  it('of signed updates under substitution count twice the clip', () => {
    const terms = { delta: 3e-6, adjacency: 'substitution' } as const
    expect(epsilonSpent(rounds(2 * 14.14, 1, 20), terms)).toBeCloseTo(1.29, 2)
  })
})
