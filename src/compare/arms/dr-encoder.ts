// DR-Encoder (arXiv 2412.17053): federated LoRA whose updates travel through an auto-encoder that was trained on draws of a
// Gaussian prior. Statistics for the prior and noised rounds are paid for from one epsilon, by one accountant.
import { z } from 'zod'
import { PretextError } from '../../errors.ts'
import type { ArmMechanism } from '../../finetune/arm-job.ts'
import { ACCOUNTANTS } from '../../privacy/accountant.ts'
import { gaussianEpsilon } from '../../privacy/gaussian.ts'
import { type ArmTask, defineArm } from '../arm.ts'
import { type Cohort, cohortOf, cohortSettings, roundsOf } from '../cohort.ts'
import { calibrateMechanisms, type EpsilonTerms, epsilonSpent, eventsOf } from '../epsilon.ts'
import { publicFile } from '../public-file.ts'

const count = z.int().positive()
const amount = z.number().positive()

const Statistics = z.strictObject({
  source: z.enum(['public', 'clients']).default('clients'),
  share: amount.max(1).default(0.3),
  epochs: count.default(2),
  /** Noise multiplier of the statistics divided by that of a round. */
  noiseRatio: amount.default(2),
  clip: amount.optional(),
})

const AutoEncoder = z.strictObject({
  steps: count.default(300),
  batch: count.default(8),
  learningRate: amount.default(2e-4),
  trainOn: z.enum(['prior', 'public-updates']).default('prior'),
})

const SETTINGS = z.strictObject({
  codec: z
    .enum(['autoencoder', 'identity', 'random-projection', 'pca', 'prior-mean'])
    .default('autoencoder')
    .describe('What an update travels as; all but autoencoder are controls'),
  noise: z.enum(['pre_encode', 'post_encode']).default('post_encode'),
  noiseBy: z.enum(['central', 'local']).default('central'),
  decode: z.enum(['after_mean', 'per_client']).default('after_mean'),
  rounds: count.default(20),
  ...cohortSettings(0.05),
  learningRate: amount.default(3.5e-4),
  epochs: count.default(1),
  batch: count.default(8),
  serverRate: amount.default(1),
  clip: amount.optional().describe('L2 bound of an update; by default the median norm on public texts'),
  latentClip: amount.optional(),
  textsPerClient: count.default(8),
  rank: count.default(8),
  alpha: amount.default(16),
  statistics: Statistics.default(Statistics.parse({})),
  autoencoder: AutoEncoder.default(AutoEncoder.parse({})),
})
type Settings = z.output<typeof SETTINGS>

export const drEncoder = defineArm({
  name: 'dr-encoder',
  about:
    'federated LoRA; updates travel through an auto-encoder trained on random draws, 1/64 of the bytes (DR-Encoder)',
  guarantee: 'client',
  epsilons: 'each',
  settings: SETTINGS,
  grid: { learningRate: [1e-4, 3.5e-4, 1e-3], serverRate: [1, 0.3] },
  async run(task, settings) {
    const { codec, clip, latentClip, learningRate, epochs, batch, rank, alpha, statistics, ...rest } =
      settings
    if (codec === 'prior-mean' && statistics.source === 'public') {
      throw new PretextError(
        'dr-encoder: expected a client who is asked for something; with the codec prior-mean and a prior of public texts it reads no private text',
        { code: 'config', hint: 'use statistics.source clients, or compare with the arm public-only' },
      )
    }
    const drawn = whoIn(task, settings)
    const noiseMultiplier = noiseFor(task, settings)
    const result = await task.runJob<'dr-encoder'>({
      kind: 'dr-encoder',
      ...task.inputs,
      ...rest,
      codec,
      sampling: drawn.sampling,
      rate: drawn.cohort / task.clients,
      publicTexts: await publicFile(task, 'clips that depend on no client'),
      clip: clip ?? null,
      latentClip: latentClip ?? null,
      lora: { rank, alpha },
      local: { learningRate, epochs, batch },
      noiseMultiplier,
      statistics: {
        source: statistics.source,
        share: statistics.share,
        epochs: statistics.epochs,
        clip: statistics.clip ?? null,
        noiseMultiplier: noiseMultiplier * statistics.noiseRatio,
      },
    })
    const analyses = analysesOf(result.mechanisms, task.inputs)
    return { ...result, measures: { ...result.measures, noiseMultiplier, analyses } }
  },
})

function whoIn(task: ArmTask, { rate, sampling, noiseBy }: Settings): Cohort {
  // Local noise is amplified by no sampling, and what a client pays is then known beforehand.
  return cohortOf(task, { rate, sampling: noiseBy === 'local' ? 'all' : sampling })
}

/** The least noise multiplier of the rounds with which both stages together spend the asked epsilon. */
function noiseFor(task: ArmTask, settings: Settings): number {
  if (task.epsilon === Number.POSITIVE_INFINITY) return 0
  return calibrateMechanisms(task.epsilon, task.inputs, (noise) => mechanismsOf(task, settings, noise))
}

function mechanismsOf(task: ArmTask, settings: Settings, noise: number): ArmMechanism[] {
  const { codec, noiseBy, rounds, statistics } = settings
  const drawn = whoIn(task, settings)
  const asks = ['autoencoder', 'pca', 'prior-mean'].includes(codec) && statistics.source === 'clients'
  const all: Cohort = { sampling: 'all', cohort: task.clients }
  const stageOne = roundsOf(task, all, 1, noise * statistics.noiseRatio)
  const stageTwo =
    noiseBy === 'local'
      ? { ...roundsOf(task, { ...drawn, cohort: 1 }, rounds, noise), local: true }
      : roundsOf(task, drawn, rounds, noise)
  return [...(asks ? [stageOne] : []), ...(codec === 'prior-mean' ? [] : [stageTwo])]
}

/**
 * The same run by every analysis of the literature. Bounds are bounds; the central-limit formula of GDP is what papers often
 * print for sampled rounds, and with few of them it says too little.
 */
export function analysesOf(
  mechanisms: readonly ArmMechanism[],
  terms: EpsilonTerms,
): { accountant: string; epsilon: number | null; what: string }[] {
  const spent = epsilonSpent(mechanisms, terms)
  if (spent === Number.POSITIVE_INFINITY) return []
  const events = eventsOf(mechanisms, terms)
  const rows = ACCOUNTANTS.map((accountant) => {
    const refusal = accountant.refusal(events, terms.adjacency)
    const name = accountant.name === 'analytic' ? 'gdp' : accountant.name
    if (refusal !== undefined) return { accountant: name, epsilon: null, what: refusal }
    const epsilon = accountant.epsilon(events, terms.delta, terms.adjacency)
    return { accountant: name, epsilon, what: accountant.name === 'analytic' ? 'exact' : 'upper bound' }
  })
  return [
    ...rows,
    {
      accountant: 'gdp-clt',
      epsilon: gaussianEpsilon(centralLimitMu(mechanisms, terms), terms.delta),
      what: 'central-limit approximation: no bound, and too small for few sampled rounds',
    },
  ]
}

/** mu = q sqrt(T (exp(1/sigma^2) - 1)), Bu et al. 2020; exact, sqrt(T)/sigma, without sampling. */
function centralLimitMu(mechanisms: readonly ArmMechanism[], terms: EpsilonTerms): number {
  let squares = 0
  for (const event of eventsOf(mechanisms, terms)) {
    if (event.type !== 'repeated') continue
    const inner = event.event
    if (inner.type === 'gaussian') squares += event.count / inner.noiseMultiplier ** 2
    else if ('rate' in inner && inner.event.type === 'gaussian') {
      squares += inner.rate ** 2 * event.count * Math.expm1(inner.event.noiseMultiplier ** -2)
    }
  }
  return Math.sqrt(squares)
}
