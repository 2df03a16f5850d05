// What TypeScript and the trainer (trainer/, Python with PyTorch) say to each other: one JSON job in a file, JSON lines of
// events on the trainer's stdout. This file is the source; trainer/pretext_trainer/protocol.schema.json is made from it
// by `npm run docs`, and the trainer checks every job, event and result against that. A new kind of job is one entry of
// JOB_KINDS here and one of KINDS in trainer/pretext_trainer/__main__.py.
import { z } from 'zod'
import { PretextError } from '../errors.ts'
import { ArmResult } from './arm-job.ts'
import { DpPromptJob, DpPromptResult } from './dp-prompt-job.ts'
import { DrEncoderJob } from './dr-encoder-job.ts'
import {
  EvaluateCorporaJob,
  EvaluateCorporaResult,
  EvaluateModelJob,
  EvaluateModelResult,
} from './evaluate-job.ts'
import { CentralDpJob, FederatedJob, LocalJob } from './federated-job.ts'
import { FedlppJob } from './fedlpp-job.ts'
import { LoraDpSgdJob } from './lora-dp-sgd-job.ts'
import { ScaleotJob } from './scaleot-job.ts'
import { TrainJob, TrainResult } from './train-job.ts'

/** Raised when a field changes its meaning: a trainer of another version refuses the job. */
export const PROTOCOL_VERSION = 1

const CheckJob = z.strictObject({ kind: z.literal('check') })

const CheckResult = z.strictObject({
  python: z.string(),
  /** Version of each package that the trainer uses; null where it is missing. */
  packages: z.record(z.string(), z.string().nullable()),
  device: z.string(),
  gpus: z.int().min(0),
})

/** Every kind of job with what it answers when it is done. */
export const JOB_KINDS = {
  check: { job: CheckJob, result: CheckResult },
  train: { job: TrainJob, result: TrainResult },
  'evaluate-model': { job: EvaluateModelJob, result: EvaluateModelResult },
  'evaluate-corpora': { job: EvaluateCorporaJob, result: EvaluateCorporaResult },
  federated: { job: FederatedJob, result: ArmResult },
  'central-dp': { job: CentralDpJob, result: ArmResult },
  local: { job: LocalJob, result: ArmResult },
  fedlpp: { job: FedlppJob, result: ArmResult },
  'lora-dp-sgd': { job: LoraDpSgdJob, result: ArmResult },
  'dp-prompt': { job: DpPromptJob, result: DpPromptResult },
  'dr-encoder': { job: DrEncoderJob, result: ArmResult },
  scaleot: { job: ScaleotJob, result: ArmResult },
} as const

export type JobKind = keyof typeof JOB_KINDS
export type Job<K extends JobKind = JobKind> = z.input<(typeof JOB_KINDS)[K]['job']>
export type JobResult<K extends JobKind> = z.output<(typeof JOB_KINDS)[K]['result']>

const number = z.number()

/** One line of the trainer's stdout. Nothing in it quotes a text. */
export const TrainerEvent = z.discriminatedUnion('event', [
  z.strictObject({
    event: z.literal('started'),
    kind: z.string(),
    device: z.string(),
    processes: z.int().min(1),
    versions: z.record(z.string(), z.string()),
  }),
  z.strictObject({
    event: z.literal('progress'),
    stage: z.string().describe('what is being done; a new name begins a new stage'),
    done: z.int().min(0),
    total: z.int().min(0).nullable(),
    unit: z.string(),
    /** For people: the loss, tokens per second. */
    detail: z.string().optional(),
    values: z.record(z.string(), number).optional(),
  }),
  z.strictObject({
    event: z.literal('metric'),
    stage: z.string(),
    name: z.string(),
    value: number,
    step: z.int().min(0).optional(),
    epoch: number.optional(),
  }),
  z.strictObject({
    event: z.literal('checkpoint'),
    stage: z.string(),
    step: z.int().min(0),
    path: z.string(),
  }),
  z.strictObject({ event: z.literal('note'), message: z.string() }),
  z.strictObject({ event: z.literal('warning'), message: z.string() }),
  z.strictObject({ event: z.literal('done'), result: z.record(z.string(), z.unknown()) }),
  z.strictObject({
    event: z.literal('failed'),
    /** A code of src/errors.ts. */
    code: z.enum(['unexpected', 'usage', 'config', 'data', 'dependency', 'storage', 'locked', 'interrupted']),
    message: z.string(),
    hint: z.string().optional(),
  }),
])

export type TrainerEvent = z.infer<typeof TrainerEvent>

/** The schema that the Python side checks against: $defs job (all kinds), event, and results by kind. */
export function protocolJsonSchema(): Record<string, unknown> {
  const plain = (schema: z.ZodType, io: 'input' | 'output'): unknown => {
    const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
    return rest
  }
  const kinds = Object.entries(JOB_KINDS)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'pretext trainer protocol',
    version: PROTOCOL_VERSION,
    jobs: Object.fromEntries(kinds.map(([kind, { job }]) => [kind, plain(job, 'output')])),
    results: Object.fromEntries(kinds.map(([kind, { result }]) => [kind, plain(result, 'output')])),
    event: plain(TrainerEvent, 'output'),
  }
}

/**
 * The job as it goes into the job file: checked, defaults filled in.
 * @throws PretextError `usage` for a setting that is out of its range
 */
export function jobFile<K extends JobKind>(job: Job<K>): string {
  const schema: z.ZodType = JOB_KINDS[job.kind as K].job
  const checked = schema.safeParse(job)
  if (!checked.success) {
    const faults = checked.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
    throw new PretextError(`a setting is out of its range: ${faults.slice(0, 5).join('; ')}`, {
      code: 'usage',
      hint: 'the help of the command says what each option takes',
    })
  }
  return `${JSON.stringify({ protocol: PROTOCOL_VERSION, job: checked.data }, null, 2)}\n`
}
