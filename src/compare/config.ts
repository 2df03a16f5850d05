// The file of a comparison: which arms, at which epsilons, with which seeds and how much tuning, over the config of a run.
// Strict, with all problems at once.
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readYamlFile, yamlProblems } from '../config/yaml-file.ts'
import { Stage } from '../finetune/train-job.ts'
import type { Arm } from './arm.ts'
import { ARMS } from './registry.ts'
import { TRAINING_DEFAULTS } from './training.ts'

const count = z.int().positive()
const path = z.string().min(1)

const ArmEntry = z
  .strictObject({
    /** Settings of the arm; "pretext baseline" lists them. */
    settings: z.record(z.string(), z.unknown()).default({}),
    /** What tuning tries, instead of the arm's own grid: values of each setting, all combined, or a list of whole choices. */
    grid: z
      .union(
        [
          z.record(z.string(), z.array(z.unknown()).min(1, 'expected at least one value')),
          z.array(z.record(z.string(), z.unknown())).min(1, 'expected at least one choice'),
        ],
        { error: 'expected a list of values for each setting, or a list of choices' },
      )
      .optional(),
  })
  .nullable()
  .transform((entry) => entry ?? { settings: {} })

const Start = z
  .strictObject({
    /** A model folder, a GGUF or a Hub id that all arms start from. Without it one is trained here. */
    from: z.string().optional(),
    /** Public texts that it is pre-trained on, and that its vocabulary is learned from. */
    public: z.union([path, z.array(path).min(1)]).optional(),
    layers: count.default(6),
    width: count.default(384),
    heads: count.default(6),
    feedForward: count.default(1024),
    vocabulary: count.default(8192),
    epochs: count.default(10),
    learningRate: z.number().positive().default(1e-3),
    batch: count.default(64),
    /** Sequences at once on one device. */
    microBatch: count.default(64),
    maxSteps: count.optional(),
    seed: z.int().nonnegative().default(0),
  })
  .refine((start) => (start.from === undefined) !== (start.public === undefined), {
    message: 'expected either "from" (a checkpoint) or "public" (texts to make one from)',
  })

const epsilon = z.custom<number>((value) => typeof value === 'number' && value > 0, {
  error: (issue) => `expected a number greater than 0 or .inf, got ${String(issue.input)}`,
})

const CompareSchema = z.strictObject({
  $schema: z.string().optional(),
  name: z.string().regex(/^[\w.-]+$/, 'expected letters, digits, ".", "_" or "-"'),
  /** Config of a run over declared simulation texts (data.simulation: true), with consented clients to evaluate on. */
  base: path,
  set: z.record(z.string().min(1), z.unknown()).default({}),
  epsilons: z.array(epsilon).min(1),
  seeds: z.array(z.int().nonnegative()).min(1).default([0, 1, 2, 3, 4]),
  /** each: every seed has releases of its own. A number: so many, which the seeds share. */
  corpora: z.union([z.literal('each'), count]).default('each'),
  /** Settings tried for each arm and epsilon; 1 tunes nothing. */
  trials: count.default(1),
  /** Share of the clients that are kept for choosing settings. */
  validationShare: z.number().gt(0).lt(0.5).default(0.1),
  start: Start,
  sequenceTokens: z.int().min(8).default(64),
  /** How corpora are trained on; the same keys as of a stage of training. */
  training: Stage.omit({ texts: true, name: true }).prefault(TRAINING_DEFAULTS),
  arms: z.record(z.string(), ArmEntry).refine((arms) => Object.keys(arms).length > 0, {
    message: 'expected at least one arm',
  }),
  /** Draws of the bootstrap over clients and seeds. */
  resamples: z.int().min(2).default(1000),
  device: z.enum(['auto', 'cpu']).default('auto'),
  threads: count.nullable().default(null),
  /** Keep every trained model, and not its figures alone. */
  keepModels: z.boolean().default(false),
  output: z.strictObject({ folder: path }),
})

export interface CompareConfig extends z.output<typeof CompareSchema> {
  /** Absolute path of the file. */
  readonly file: string
  readonly basePath: string
  readonly folder: string
  /** Resolves a path of the file. */
  readonly path: (relative: string) => string
}

const HINT = 'docs/comparison.md explains every key; configs/compare.yaml is an example'

/** `known`: the arms that there are. Throws PretextError `config`. */
export async function loadCompare(
  file: string,
  known: readonly Pick<Arm, 'name'>[] = ARMS,
): Promise<CompareConfig> {
  const { value, place } = await readYamlFile(file, CompareSchema, { what: 'comparison', hint: HINT })
  const absolute = resolve(file)
  const relative = (name: string) => resolve(dirname(absolute), name)
  const twice = [
    ...(new Set(value.seeds).size < value.seeds.length ? ['seeds'] : []),
    ...(new Set(value.epsilons).size < value.epsilons.length ? ['epsilons'] : []),
  ]
  const names = known.map(({ name }) => name)
  const unknown = Object.keys(value.arms).filter((name) => !names.includes(name))
  const lines = [
    ...twice.map((key) => `${place([key])}: ${key}: expected each value once`),
    ...unknown.map(
      (name) => `${place(['arms', name])}: arms: expected one of ${names.join(', ')}, got "${name}"`,
    ),
  ]
  if (lines.length > 0) throw yamlProblems(lines, 'comparison', HINT)
  return {
    ...value,
    file: absolute,
    basePath: relative(value.base),
    folder: relative(value.output.folder),
    path: relative,
  }
}
