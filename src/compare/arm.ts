// What an arm is: one way to use private texts, and what it is given. Every arm of a comparison gets the same clients, the
// same starting checkpoint, the same epsilon, delta, unit and adjacency, and is measured by the same evaluator. Arms run over
// simulation texts alone; the comparison has checked that before it makes a task.
import type { z } from 'zod'
import type { LoadedConfig } from '../config/load.ts'
import type { OnEvent } from '../events.ts'
import type { ArmInputs, ArmResult } from '../finetune/arm-job.ts'
import type { Job, JobKind, JobResult } from '../finetune/protocol.ts'
import type { StageSettings } from '../finetune/train.ts'

/**
 * What protects a client.
 * client: DP for all of its texts together; epsilon is recomputed from what the run did.
 * text: DP for one text at a time, on the device (local); the arm names that epsilon in `measures.epsilonPerText`.
 * public: no private text is used; epsilon is 0.
 * none: no DP guarantee. Such arms stand in a group of their own and never print an epsilon.
 */
export type Guarantee = 'client' | 'text' | 'public' | 'none'

/** One run of an arm. */
export interface ArmTask {
  /** The inputs of the trainer's arm jobs: `task.runJob({ kind: ..., ...task.inputs, ... })`. `out` is this run's own folder. */
  readonly inputs: z.output<typeof ArmInputs>
  /** Asked for the whole run at `inputs.delta`; Infinity asks for no noise. */
  readonly epsilon: number
  /** Clients in `inputs.clients`. */
  readonly clients: number
  /**
   * The config of a run of PrE-Text over just these clients (data.simulation: true, the asked epsilon, a seed for each corpus),
   * with some of its keys changed. Throws PretextError `config`.
   */
  configured(set?: Readonly<Record<string, unknown>>): Promise<LoadedConfig>
  /** Seed of the corpus that this run trains on: its own, or that of a seed that it shares one with. */
  readonly corpus: number
  /** How a corpus is trained on, from `inputs.start`. The grid of a corpus arm varies it. */
  readonly training: StageSettings
  /** The trainer's Python. */
  readonly python: string
  /** Runs a job in the trainer's Python; texts are never shown in its errors. */
  runJob<K extends JobKind>(job: Job<K>): Promise<JobResult<K>>
  /** A model folder on the validation clients, by the evaluator that all arms share. */
  validate(model: string): Promise<ArmResult['validation']>
  /**
   * Something that several runs of this arm share (a corpus for several training seeds): made once in a folder of its own,
   * found again after a stop. `name` must tell all that it depends on; `resume` is true where an earlier try was stopped.
   * What `make` returns is kept as JSON.
   */
  shared<T>(name: string, make: (folder: string, resume: boolean) => Promise<T>): Promise<T>
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal | undefined
}

/** What a run of an arm answers. */
export interface ArmAnswer extends ArmResult {
  /** Folders of models of which each is one client's own: where there is no single model, the evaluation takes their mean. */
  readonly models?: readonly string[]
}

export interface Arm<S extends z.ZodType = z.ZodType> {
  /** In configs, on the command line and in the report: lower case with hyphens. */
  readonly name: string
  /** One sentence: what it does with the private texts. */
  readonly about: string
  readonly guarantee: Guarantee
  /** Of an arm without a guarantee: why no epsilon may be printed for it. One sentence for the report. */
  readonly noEpsilon?: string
  /** each: one run for every epsilon of the comparison. once: epsilon changes nothing. */
  readonly epsilons: 'each' | 'once'
  /** Whether it trains on corpora that several seeds may share; their trainings are then drawn together. */
  readonly onCorpora?: boolean
  /** Strict object of the arm's settings, each with a default. One named "set" changes keys of the run's config. */
  readonly settings: S
  /** Values that tuning tries, by keys of `settings`; the configuration may name others. Empty: nothing to tune. */
  readonly grid: Readonly<Record<string, readonly unknown[]>>
  /** Throws PretextError. Killed anywhere, the same task goes on (`inputs.resume` is then true). */
  run(task: ArmTask, settings: z.output<S>): Promise<ArmAnswer>
}

/** An arm with its settings checked against its `run`; the type of the settings is forgotten afterwards. */
export function defineArm<S extends z.ZodType>(arm: Arm<S>): Arm {
  return arm as unknown as Arm
}
