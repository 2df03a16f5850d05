// LoRA and DP-SGD (arXiv 2409.17538 says that LoRA imitates it), as two arms. "lora-dp-sgd" is DP-SGD on LoRA's B with A
// frozen and public: each client's gradient is bounded, noise is on their sum, and the epsilon holds whatever the rank. "lora"
// is LoRA as it is, whose random A puts noise into the gradient that is bound to nothing: it has no epsilon, and prints none.
import { z } from 'zod'
import { epsilonBound } from '../../audit/lower-bound.ts'
import type { ArmResult } from '../../finetune/arm-job.ts'
import { LORA_METHODS } from '../../finetune/lora-dp-sgd-job.ts'
import { defineArm } from '../arm.ts'
import { cohortOf, cohortSettings, roundsOf } from '../cohort.ts'
import { calibrateMechanisms } from '../epsilon.ts'

const count = z.int().positive()
const amount = z.number().positive()
const plain = z.enum(LORA_METHODS).exclude(['dp'])

const ROW = {
  rank: count.default(16),
  optimiser: z.enum(['sgd', 'adamw']).default('adamw'),
  learningRate: amount.default(3e-3),
}

const SHARED = {
  ...ROW,
  steps: count.default(100),
  ...cohortSettings(0.05),
  textsPerClient: count.default(8),
  microBatch: count.default(32).describe('Texts that go through the model at once: memory and speed alone'),
  others: z
    .array(z.strictObject({ method: plain, ...ROW }))
    .default([])
    .describe('Rows that are trained and attacked beside it, without a guarantee'),
  looks: count.default(4).describe('Times that loss and attacks are measured on the way'),
  attackClients: count.default(1000).describe('Clients of each kind that are attacked'),
  noiseRanks: z.array(count).default([]).describe("Ranks for which LoRA's noise is measured"),
}

const PRIVATE = z.strictObject({
  ...SHARED,
  clip: amount.default(1).describe("L2 bound of one client's gradient"),
})
const PLAIN = z.strictObject({ ...SHARED, method: plain.default('lora-both') })

/** Confidence of the audit's lower bound, one-sided. */
const ALPHA = 0.05

export const loraDpSgd = defineArm({
  name: 'lora-dp-sgd',
  about: "DP-SGD on LoRA's B with a frozen A, over the pooled texts: the bound and the noise are on clients",
  guarantee: 'client',
  epsilons: 'each',
  settings: PRIVATE,
  grid: { learningRate: [1e-3, 3e-3, 1e-2], clip: [1, 0.1] },
  async run(task, { rate, sampling, clip, ...rest }) {
    const drawn = cohortOf(task, { rate, sampling })
    const job = { kind: 'lora-dp-sgd', ...task.inputs, ...rest, ...drawn } as const
    if (task.epsilon === Number.POSITIVE_INFINITY) {
      return task.runJob<'lora-dp-sgd'>({ ...job, method: 'lora', noiseMultiplier: null })
    }
    const noiseMultiplier = calibrateMechanisms(task.epsilon, task.inputs, (noise) => [
      roundsOf(task, drawn, rest.steps, noise),
    ])
    const result = await task.runJob<'lora-dp-sgd'>({ ...job, method: 'dp', clip, noiseMultiplier })
    return withAudit(result, task.inputs.delta, task.epsilon)
  },
})

export const lora = defineArm({
  name: 'lora',
  about: 'LoRA on the pooled texts, without DP: what its own randomness hides is measured by attacks',
  guarantee: 'none',
  noEpsilon:
    'the noise of LoRA’s random A is a multiple of the gradient: no client’s gradient is bounded, and where the others’ gradient is zero there is no noise, so that one step can tell two neighbouring data sets apart at every rank',
  epsilons: 'once',
  settings: PLAIN,
  grid: { learningRate: [1e-3, 3e-3, 1e-2] },
  async run(task, { rate, sampling, ...rest }) {
    return task.runJob<'lora-dp-sgd'>({
      kind: 'lora-dp-sgd',
      ...task.inputs,
      ...rest,
      ...cohortOf(task, { rate, sampling }),
      noiseMultiplier: null,
    })
  },
})

/**
 * Each attack's counts as a lower bound of what a step gives away, by exact intervals; and the largest that so few trials could
 * show, with every hit and no false alarm. The private row's must not exceed what it claims, which is said only where it could.
 * Only what is private claims an epsilon: for plain rows the bound is no guarantee, and is not called one.
 */
export function withAudit(result: ArmResult, delta: number, epsilon: number): ArmResult {
  const rows = result.measures.audit
  if (!Array.isArray(rows)) return result
  const bound = epsilonBound(delta)
  const audit = rows.map((row) => {
    const of = (key: string): number => Number(row[key])
    const trials = { hitTrials: of('hitTrials'), falseAlarmTrials: of('falseAlarmTrials') }
    const atLeast = bound({ ...trials, hits: of('hits'), falseAlarms: of('falseAlarms') }, ALPHA)
    const provable = bound({ ...trials, hits: trials.hitTrials, falseAlarms: 0 }, ALPHA)
    const own = { ...row, leaksAtLeast: atLeast, provable }
    return row.method === 'dp' ? { ...own, withinClaim: provable > epsilon ? atLeast <= epsilon : null } : own
  })
  return { ...result, measures: { ...result.measures, audit } }
}
