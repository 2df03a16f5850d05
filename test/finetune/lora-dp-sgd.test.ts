// LoRA as DP-SGD as a job: the private row keeps the epsilon that its noise gives and no attack finds more; plain rows have no
// epsilon; and the identities, which test_lora_dp_sgd.py holds in Python.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { withAudit } from '../../src/compare/arms/lora-dp-sgd.ts'
import { calibrateMechanisms, epsilonSpent } from '../../src/compare/epsilon.ts'
import type { ArmMechanism, ArmResult } from '../../src/finetune/arm-job.ts'
import type { Job, TrainerEvent } from '../../src/finetune/protocol.ts'
import { python } from '../trainer/python.ts'
import { type ArmGround, armGround, runArmJob } from './arm-ground.ts'

const run = runArmJob<'lora-dp-sgd'>
const terms = { delta: 1e-5, adjacency: 'add-remove' } as const
let ground: ArmGround
let folder: string

const job = (name: string, more: Partial<Job<'lora-dp-sgd'>> = {}): Job<'lora-dp-sgd'> => ({
  kind: 'lora-dp-sgd',
  ...ground.inputs,
  ...terms,
  out: join(folder, name),
  rank: 4,
  steps: 6,
  cohort: 10,
  looks: 2,
  resamples: 50,
  checkpointSteps: 2,
  ...more,
})

beforeAll(async () => {
  ground = await armGround()
  folder = await mkdtemp(join(tmpdir(), 'lora-dp-sgd-'))
}, 900_000)

it('keeps its identities', async () => {
  const { code, stderr } = await python([resolve(import.meta.dirname, 'test_lora_dp_sgd.py')])
  expect(stderr).toMatch(/Ran 23 tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})

describe('DP-SGD beside plain LoRA', () => {
  let result: ArmResult
  const events: TrainerEvent[] = []

  beforeAll(async () => {
    const step = {
      clip: 1,
      releases: 6,
      cohort: 10,
      clients: ground.clients,
      sampling: 'poisson',
      contributions: 'signed',
      maxParticipations: 6,
    } as const
    const noiseMultiplier = calibrateMechanisms(2, terms, (sigma): ArmMechanism[] => [{ ...step, sigma }])
    const found = await run(
      job('dp', {
        clip: 0.2,
        noiseMultiplier,
        learningRate: 0.01,
        noiseRanks: [1, 4, 16],
        others: [
          { method: 'lora-both', rank: 4, optimiser: 'adamw', learningRate: 0.03 },
          { method: 'full', rank: 4, optimiser: 'sgd', learningRate: 0.5 },
        ],
      }),
      (event) => events.push(event),
    )
    result = withAudit(found, terms.delta, 2)
  })

  it('spends what its noise says, whatever the rank', () => {
    const spent = epsilonSpent(result.mechanisms, terms)
    expect(spent).toBeLessThanOrEqual(2)
    expect(spent).toBeGreaterThan(1.98)
    expect(Object.keys(result.mechanisms[0] ?? {})).not.toContain('rank')
    expect(result.measures.largestContribution).toBeLessThanOrEqual(0.2 * (1 + 1e-5))
  })

  it('is not told apart by more than that', () => {
    const audit = result.measures.audit as Record<string, unknown>[]
    const own = audit.filter((row) => row.method === 'dp')
    // So few clients could not contradict a claim of 2, and it says so: with every hit and no false alarm they show less.
    expect(own.map((row) => [row.attack, row.withinClaim])).toEqual([
      ['loss', null],
      ['reference', null],
      ['min-k++', null],
    ])
    expect(own[0]?.provable as number).toBeLessThan(2)
    // A claim that the counts contradict is seen.
    const telling = { method: 'dp', hits: 40, hitTrials: 40, falseAlarms: 0, falseAlarmTrials: 40 }
    const broken = withAudit({ ...result, measures: { audit: [telling] } }, terms.delta, 2)
    const shown = expect.closeTo(Math.log(0.912 / 0.088), 1)
    expect(broken.measures.audit).toEqual([
      { ...telling, withinClaim: false, leaksAtLeast: shown, provable: shown },
    ])
    const honest = { ...telling, hits: 22, falseAlarms: 17 }
    const kept = withAudit({ ...result, measures: { audit: [honest] } }, terms.delta, 2)
    expect(kept.measures.audit).toMatchObject([{ withinClaim: true }])
    // Plain rows claim nothing, and no figure of theirs is called an epsilon.
    const plain = audit.filter((row) => row.method !== 'dp')
    expect(plain).toHaveLength(6)
    expect(Object.keys(plain[0] ?? {}).join()).not.toMatch(/epsilon|withinClaim/i)
  })

  it("has LoRA's noise as predicted on the gradients of the model", () => {
    for (const row of result.measures.noise as Record<string, number>[]) {
      expect(Math.abs((row.noiseMeasured as number) / (row.noisePredicted as number) - 1)).toBeLessThan(0.25)
      expect(Math.abs((row.cosineMeasured as number) / (row.cosinePredicted as number) - 1)).toBeLessThan(
        0.25,
      )
    }
    const [one, , sixteen] = result.measures.noise as Record<string, number>[]
    expect(one?.noiseMeasured).toBeGreaterThan(2 * (sixteen?.noiseMeasured as number))
    expect(one?.distanceFromGaussian).toBeCloseTo(0.239, 2)
  })

  it('tells a text apart in one step of plain LoRA at every rank, and not beyond the bound under noise', () => {
    for (const row of result.measures.distinguisher as Record<string, number>[]) {
      expect(row.aucPlain).toBeGreaterThanOrEqual(0.99)
      expect(row.aucNoised).toBeLessThan((row.aucBound as number) + 0.05)
    }
  })

  it('looks at each row on the way and compares at equal loss', () => {
    const rows = result.measures.rows as Record<string, number | string>[]
    expect(rows.map((row) => [row.method, row.step])).toEqual([
      ['dp', 3],
      ['dp', 6],
      ['lora-both', 3],
      ['lora-both', 6],
      ['full', 3],
      ['full', 6],
    ])
    expect(rows[3]?.trainLoss as number).toBeLessThan(result.measures.startLoss as number)
    const losses = (result.measures.equalLoss as Record<string, number>[]).map((row) => row.trainLoss)
    expect(new Set(losses).size).toBe(1)
  })

  it('leaves a model that is as good as it says, and quotes no text', async () => {
    const found = await ground.evaluate(result.model as string)
    expect(found.crossEntropy / found.tokens).toBeCloseTo(result.validation.loss, 3)
    expect(JSON.stringify([events, result])).not.toContain(ground.canary)
  })
})

describe('plain LoRA', () => {
  const settings = { method: 'lora-both', learningRate: 0.01 } as const

  it('has no finite epsilon, and goes on where it was stopped', async () => {
    const whole = await run(job('whole', settings))
    expect(epsilonSpent(whole.mechanisms, terms)).toBe(Number.POSITIVE_INFINITY)
    expect(JSON.stringify(whole)).not.toMatch(/epsilon/i)
    const stop = new AbortController()
    const stopped = run(
      job('stopped', settings),
      (event) => {
        if (event.event === 'progress' && event.done === 3) stop.abort()
      },
      stop.signal,
    )
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' })
    const resumed = await run(job('stopped', { ...settings, resume: true }))
    expect({ ...resumed, meters: 0, model: 0 }).toEqual({ ...whole, meters: 0, model: 0 })
  })

  it('has no noise multiplier of 0: DP-SGD without noise is refused before anything starts', async () => {
    await expect(run(job('none', { noiseMultiplier: 0 as never }))).rejects.toMatchObject({ code: 'usage' })
  })
})
