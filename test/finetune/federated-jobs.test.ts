// The jobs by the whole way, from a job file to the result: what the run says it used gives the epsilon that was asked for, a
// killed run ends at the same weights, several processes at the same loss, and what makes no sense is refused in words.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ArmMechanism } from '../../src/finetune/arm-job.ts'
import { type Job, jobFile, type TrainerEvent } from '../../src/finetune/protocol.ts'
import { runJob, TRAINER_FOLDER } from '../../src/finetune/run-job.ts'
import {
  account,
  calibrate,
  calibrateNoise,
  gaussianEpsilon,
  type MechanismEvent,
  pld,
} from '../../src/privacy/index.ts'
import { python, testPython } from '../trainer/python.ts'

const DELTA = 1e-5

let folder: string
let interpreter: string
let start: string
const env = { ...process.env, OMP_NUM_THREADS: '1', TOKENIZERS_PARALLELISM: 'false' }

/** The test's clients and start, as its Python side makes them. */
const WORKSPACE = `
import sys; sys.path.insert(0, sys.argv[1])
from federated_workspace import Workspace
print(Workspace().folder)
`

beforeAll(async () => {
  interpreter = await testPython()
  const { stdout, stderr } = await python(['-c', WORKSPACE, import.meta.dirname])
  start = stdout.trim().split('\n').at(-1) ?? ''
  expect(start, stderr).toContain('federated-')
  folder = await mkdtemp(join(tmpdir(), 'federated-jobs-'))
}, 900_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await rm(start, { recursive: true, force: true })
})

const inputs = (name: string) => ({
  out: join(folder, name),
  clients: join(start, 'clients.jsonl'),
  validation: join(start, 'validation.jsonl'),
  start: join(start, 'start'),
  sequenceTokens: 32,
  seed: 3,
  delta: DELTA,
  device: 'cpu' as const,
  threads: 1,
})

const federated = (
  name: string,
  change: Partial<Job<'federated'>> & { noiseMultiplier: number },
): Job<'federated'> => ({
  kind: 'federated',
  ...inputs(name),
  rounds: 6,
  clip: { kind: 'fixed', bound: 0.2 },
  client: { learningRate: 0.5, batch: 2 },
  ...change,
})

const run = (job: Job<'federated'>, onEvent: (event: TrainerEvent) => void = () => {}) =>
  runJob<'federated'>(job, { python: interpreter, env, onEvent })

const sha = async (name: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(join(folder, name, 'model/model.safetensors')))
    .digest('hex')

const only = (mechanisms: readonly ArmMechanism[]): ArmMechanism => {
  expect(mechanisms).toHaveLength(1)
  return mechanisms[0] as ArmMechanism
}

describe('what a run says it used gives the epsilon that was asked for', () => {
  it('DP-FedAvg, every client in every round', { timeout: 900_000 }, async () => {
    const noiseMultiplier = calibrateNoise(7.58, DELTA, 6)
    const { mechanisms, model, meters } = await run(federated('all', { noiseMultiplier }))
    const { sigma, clip, releases, maxParticipations, sampling } = only(mechanisms)
    expect([releases, maxParticipations, sampling]).toEqual([6, 6, 'all'])
    const epsilon = gaussianEpsilon((Math.sqrt(releases) * (clip ?? 0)) / sigma, DELTA)
    expect(epsilon).toBeCloseTo(7.58, 6)
    expect(epsilon).toBeLessThanOrEqual(7.58)
    expect(model).toBe(join(folder, 'all/model'))
    expect(meters).toMatchObject({ rounds: 6, participations: 72, llmTokens: 0 })
    // The folder is one that the evaluation takes.
    const measured = await runJob<'evaluate-model'>(
      { kind: 'evaluate-model', model: model ?? '', texts: await evaluationTexts(), sequenceTokens: 32 },
      { python: interpreter, env, realTexts: true },
    )
    expect(measured.clients.length).toBeGreaterThan(0)
  })

  it('DP-FTRL by trees: one Gaussian mechanism, not amplified', { timeout: 900_000 }, async () => {
    // One release: the sensitivity of the whole matrix is inside of the multiplier.
    const noiseMultiplier = calibrateNoise(1.29, DELTA, 1)
    const job = federated('tree', { noiseMultiplier, noise: 'tree', sampling: 'cycle', cohort: 4 })
    const mechanism = only((await run(job)).mechanisms)
    expect(mechanism.maxParticipations).toBe(2)
    // Two trees of three rounds; a round is in two nodes of each, its leaf and a pair.
    expect(mechanism.matrix?.sensitivity).toBeCloseTo(2, 9)
    expect(ofMatrix(mechanism)).toBeCloseTo(1.29, 6)
  })
})

/** Gaussian differential privacy: mu is the sensitivity of the whole run over its noise. */
const ofMatrix = ({ sigma, clip, matrix }: ArmMechanism): number =>
  gaussianEpsilon(((matrix?.sensitivity ?? 0) * (clip ?? 0)) / sigma, DELTA)

async function evaluationTexts(): Promise<string> {
  const rows = (await readFile(join(start, 'validation.jsonl'), 'utf8')).trim().split('\n')
  const path = join(folder, 'evaluation.jsonl')
  await writeFile(
    path,
    rows.map((row) => `${JSON.stringify({ client: 0, text: JSON.parse(row).text })}\n`).join(''),
  )
  return path
}

const ROUNDS = 8
const poisson = (noiseMultiplier: number): MechanismEvent[] => [
  {
    type: 'repeated',
    count: ROUNDS,
    event: { type: 'poissonSampled', rate: 1 / 6, event: { type: 'gaussian', noiseMultiplier } },
  },
]

describe('a run', () => {
  it('that is killed goes on to the same weights', { timeout: 900_000 }, async () => {
    const noiseMultiplier = calibrateNoise(7.58, DELTA, 1)
    const change = { noiseMultiplier, noise: 'banded', sampling: 'cycle', cohort: 4 } as const
    const job = (name: string) => federated(name, { ...change, rounds: 20, checkpointRounds: 3 })
    const whole = await run(job('whole'))
    const file = join(folder, 'killed.json')
    await writeFile(file, jobFile(job('killed')))
    await new Promise<void>((resolve) => {
      const child = spawn(interpreter, ['-m', 'pretext_trainer', file], {
        env: { ...env, PYTHONPATH: TRAINER_FOLDER },
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let said = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (/"event": "checkpoint".*"step": [69],/.test(said)) child.kill('SIGKILL')
      })
      child.on('close', () => resolve())
    })
    const notes: string[] = []
    const resumed = await run({ ...job('killed'), resume: true }, (event) => {
      if (event.event === 'note') notes.push(event.message)
    })
    expect(notes).toEqual([expect.stringMatching(/^resumed training on the devices behind \d+ of 20$/)])
    expect(await sha('killed')).toBe(await sha('whole'))
    expect(resumed.validation).toEqual(whole.validation)
    expect(resumed.mechanisms).toEqual(whole.mechanisms)
    // DP-FTRL by banded factorisation: 20 rounds, every client in 7 of them at most, by columns of norm 1.
    const mechanism = only(whole.mechanisms)
    expect(mechanism.maxParticipations).toBe(7)
    expect(mechanism.matrix?.sensitivity).toBeCloseTo(Math.sqrt(7), 6)
    expect(ofMatrix(mechanism)).toBeCloseTo(7.58, 6)
  })

  it('that two processes share ends at the same loss, with the same noise', {
    timeout: 900_000,
  }, async () => {
    const noiseMultiplier = calibrate(pld, { epsilon: 4, delta: DELTA }, poisson)
    const job = (name: string) =>
      federated(name, { noiseMultiplier, sampling: 'poisson', cohort: 2, rounds: ROUNDS })
    const alone = await run(job('alone'))
    const shared = await run({ ...job('shared'), processes: 2 })
    expect(shared.measures.processes).toBe(2)
    expect(Math.abs(shared.validation.loss - alone.validation.loss)).toBeLessThan(1e-4)
    expect(shared.mechanisms).toEqual(alone.mechanisms)
    expect(shared.meters.participations).toBe(alone.meters.participations)
    expect(shared.meters.clientFlopsPerRound / alone.meters.clientFlopsPerRound).toBeCloseTo(1, 4)
    // Some rounds have one client or none, so that a process has nobody to train.
    const { sigma, clip, cohort, clients, drawn } = only(shared.mechanisms)
    expect(Math.min(...(drawn ?? []))).toBeLessThan(2)
    expect(cohort / clients).toBe(1 / 6)
    const { epsilon } = account(poisson(sigma / (clip ?? 0)), DELTA)
    expect(epsilon).toBeGreaterThan(3.99)
    expect(epsilon).toBeLessThanOrEqual(4)
  })

  it('that makes no sense is refused in words', { timeout: 900_000 }, async () => {
    await expect(
      run(federated('tree', { noise: 'tree', noiseMultiplier: 1, sampling: 'poisson', cohort: 4 })),
    ).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('expected sampling "cycle" for noise "tree", got "poisson"'),
    })
    expect(() => jobFile(federated('x', { noiseMultiplier: -1 }))).toThrow(
      'a setting is out of its range: noiseMultiplier',
    )
  })
})
