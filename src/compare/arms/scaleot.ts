// ScaleOT (arXiv 2412.09812): offsite tuning. The clients tune adapter layers inside a lossy emulator of the model and send
// these back; the whole model stays with its owner. As published it promises nothing about the texts; the second arm clips and
// noises the changes of the adapters.
import { z } from 'zod'
import type { Job } from '../../finetune/protocol.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { cohortOf, cohortSettings, roundsOf } from '../cohort.ts'
import { calibrateMechanisms } from '../epsilon.ts'
import { publicFile } from '../public-file.ts'

const count = z.int().positive()
const amount = z.number().positive()
const share = z.number().min(0).max(1)

const Emulator = z.strictObject({
  method: z.enum(['replace', 'drop']).default('replace'),
  alpha: share,
  beta: share,
})

const TRAINING = {
  learningRate: amount.default(2e-4),
  epochs: count.default(1).describe('Of a client in one round, or in each of the rounds of one owner'),
  batch: count.default(8),
  rounds: count.default(20),
}

const Adapters = z.strictObject({
  layers: count.default(4),
  place: z.enum(['ends', 'importance']).default('ends'),
  tune: z.enum(['full', 'lora']).default('full'),
  rank: count.default(8),
})

const Search = z.strictObject({
  steps: count.default(1000),
  batch: count.default(16),
  learningRate: amount.default(1e-4),
  scoreRate: amount.default(1),
  reward: z.enum(['standardised', 'raw']).default('standardised'),
  width: count.default(64),
})

const MODEL = {
  emulators: z
    .array(Emulator)
    .min(1)
    .default([{ method: 'replace', alpha: 0.5, beta: 0.6 }])
    .describe(
      'Share of layers replaced, share of rank removed; the first is the arm, the others are rows of its table',
    ),
  adapters: Adapters.default(Adapters.parse({})),
  search: Search.default(Search.parse({})),
  textsPerClient: count.default(8),
}

const PLAIN = z.strictObject({
  ...MODEL,
  ...TRAINING,
  owners: z
    .enum(['one', 'each'])
    .default('one')
    .describe('one owner of all texts, or every client for itself'),
  fullTuning: z.boolean().default(true).describe('Also tune the whole model: the upper bound'),
})

const PRIVATE = z.strictObject({
  ...MODEL,
  ...TRAINING,
  ...cohortSettings(0.05),
  serverRate: amount.default(1),
  clip: amount.optional().describe('L2 bound of a change; by default the median norm on public texts'),
})
type Private = z.output<typeof PRIVATE>

export const scaleot = defineArm({
  name: 'scaleot',
  about:
    'adapter layers tuned inside a lossy emulator of the model and plugged back (ScaleOT); protects the model, not the texts',
  guarantee: 'none',
  noEpsilon: 'the adapters that come back are a function of the texts without any noise',
  epsilons: 'once',
  settings: PLAIN,
  grid: { learningRate: [1e-4, 2e-4, 5e-4], epochs: [1, 2] },
  async run(task, settings) {
    const job = await common(task, settings)
    const { owners, fullTuning } = settings
    return task.runJob<'scaleot'>({ ...job, owners, fullTuning, sampling: 'all', rate: 1, clip: 'none' })
  },
})

export const scaleotDp = defineArm({
  name: 'scaleot-dp',
  about: 'ScaleOT by all clients, with DP-FedAvg on the changes of the adapter layers',
  guarantee: 'client',
  epsilons: 'each',
  settings: PRIVATE,
  grid: { learningRate: [1e-4, 2e-4, 5e-4], serverRate: [1, 0.3] },
  async run(task, settings) {
    const { serverRate, clip, rounds } = settings
    const drawn = cohortOf(task, settings)
    const noiseMultiplier =
      task.epsilon === Number.POSITIVE_INFINITY
        ? 0
        : calibrateMechanisms(task.epsilon, task.inputs, (noise) => [roundsOf(task, drawn, rounds, noise)])
    const result = await task.runJob<'scaleot'>({
      ...(await common(task, settings)),
      owners: 'each',
      fullTuning: false,
      sampling: drawn.sampling,
      rate: drawn.cohort / task.clients,
      serverRate,
      clip: clip ?? null,
      noiseMultiplier,
    })
    return { ...result, measures: { ...result.measures, noiseMultiplier } }
  },
})

async function common(
  task: ArmTask,
  settings: z.output<typeof PLAIN> | Private,
): Promise<Job<'scaleot'> & { kind: 'scaleot' }> {
  const { emulators, adapters, search, textsPerClient, rounds, learningRate, epochs, batch } = settings
  return {
    kind: 'scaleot',
    ...task.inputs,
    publicTexts: await publicFile(task, 'the search of the emulator'),
    emulators,
    adapters,
    search,
    textsPerClient,
    rounds,
    local: { learningRate, epochs, batch },
  }
}
