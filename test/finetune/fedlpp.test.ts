// FedLPP as a job, from start to model: what it says of itself is what TypeScript makes an epsilon of; and its identities,
// which test_fedlpp.py holds in Python.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { calibrateMechanisms, epsilonSpent } from '../../src/compare/epsilon.ts'
import type { ArmMechanism, ArmResult } from '../../src/finetune/arm-job.ts'
import type { Job, TrainerEvent } from '../../src/finetune/protocol.ts'
import { python } from '../trainer/python.ts'
import { type ArmGround, armGround, runArmJob } from './arm-ground.ts'

const run = runArmJob<'fedlpp'>
const terms = { delta: 1e-5, adjacency: 'add-remove' } as const
let ground: ArmGround
let folder: string

const job = (name: string, more: Partial<Job<'fedlpp'>> = {}): Job<'fedlpp'> => ({
  kind: 'fedlpp',
  ...ground.inputs,
  ...terms,
  out: join(folder, name),
  rounds: 4,
  cohort: 8,
  localRate: 0.01,
  evaluateEvery: 2,
  attackers: 1,
  healingEpochs: 1,
  checkpointRounds: 1,
  ...more,
})

beforeAll(async () => {
  ground = await armGround()
  folder = await mkdtemp(join(tmpdir(), 'fedlpp-'))
}, 900_000)

it('keeps its identities', async () => {
  const { code, stderr } = await python([resolve(import.meta.dirname, 'test_fedlpp.py')])
  expect(stderr).toMatch(/Ran 24 tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})

describe('a training with a guarantee', () => {
  const at = (scale: number): ArmMechanism[] => [
    {
      sigma: scale,
      clip: 1,
      releases: 4,
      cohort: 8,
      clients: ground.clients,
      sampling: 'poisson',
      contributions: 'signed',
      maxParticipations: 4,
    },
  ]
  let result: ArmResult
  const events: TrainerEvent[] = []

  beforeAll(async () => {
    const noiseMultiplier = calibrateMechanisms(4, terms, at)
    const settings = { clip: 0.5, noiseMultiplier, otherBits: [16 as const] }
    result = await run(job('dp', settings), (event) => events.push(event))
  })

  it('names the noise that its epsilon follows from', () => {
    expect(result.mechanisms).toHaveLength(1)
    const spent = epsilonSpent(result.mechanisms, terms)
    expect(spent).toBeLessThanOrEqual(4)
    expect(spent).toBeGreaterThan(3.96)
    expect(result.mechanisms[0]).toMatchObject({
      clip: 0.5,
      releases: 4,
      clients: ground.clients,
      unit: 'client',
    })
    expect(result.mechanisms[0]?.drawn).toHaveLength(4)
    expect(result.measures.largestContribution).toBeLessThanOrEqual(0.5 * (1 + 1e-5))
  })

  it('measures what it sent and computed', () => {
    const values = result.measures.adapterValues as number
    expect(values).toBe(3584)
    const { meters } = result
    // Two bits a value and 16 for each block: eight matrices a layer, none with more than 256 values.
    expect(meters.bytesDownPerClientRound).toBe((values * 2) / 8 + 2 * 8 * 2)
    expect(meters.bytesUpPerClientRound).toBe(values * 4)
    expect(meters.participations).toBe(result.mechanisms[0]?.drawn?.reduce((a, b) => a + b))
    expect(meters.clientFlopsPerRound).toBeGreaterThan(1e6)
    expect(meters.clientCpuSecondsPerRound).toBeGreaterThan(0)
  })

  it('has a row of gaps for each width, and none where nothing is quantised', () => {
    const gaps = result.measures.gaps as Record<string, number>[]
    expect(gaps.map((row) => row.bits)).toEqual([2, 16])
    expect(gaps[1]).toMatchObject({ gapBefore: 0, errorOf1: 0, bitsPerValue: 32, serverMinusAveraging: 0 })
    expect(gaps[0]?.errorOf1).toBeGreaterThan(0.1)
    expect(result.measures.rounds).toHaveLength(4)
  })

  it('leaves a model that is as good as it says', async () => {
    const found = await ground.evaluate(result.model as string)
    expect(found.crossEntropy / found.tokens).toBeCloseTo(result.validation.loss, 3)
    expect(found.tokens).toBe(result.validation.tokens)
  })

  it('quotes no text', () => {
    expect(JSON.stringify([events, result])).not.toContain(ground.canary)
  })
})

describe('a training without one', () => {
  const settings = { bits: 4 as const, localEpochs: 2 }

  it('lets clients learn, at no finite epsilon, and goes on where it was stopped', async () => {
    const whole = await run(job('whole', settings))
    expect(whole.validation.loss).toBeLessThan((whole.measures.startLoss as number) - 0.02)
    expect(epsilonSpent(whole.mechanisms, terms)).toBe(Number.POSITIVE_INFINITY)
    const stop = new AbortController()
    const stopped = run(
      job('stopped', settings),
      (event) => {
        if (event.event === 'progress' && event.done === 2) stop.abort()
      },
      stop.signal,
    )
    await expect(stopped).rejects.toMatchObject({ code: 'interrupted' })
    const resumed = await run(job('stopped', { ...settings, resume: true }))
    expect({ ...resumed, meters: 0, model: 0 }).toEqual({ ...whole, meters: 0, model: 0 })
  })

  it('has no width without a codebook', async () => {
    await expect(run(job('wide', { bits: 5 as never }))).rejects.toMatchObject({ code: 'usage' })
  })
})
