// The file of a batch: a base config, a matrix of values over it, and the steps of every job. Strict, with all problems at
// once, as for the config of a run.
import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { readYamlFile, yamlProblems } from '../config/yaml-file.ts'

export const STEPS = ['generate', 'train', 'evaluate'] as const
export type Step = (typeof STEPS)[number]

const name = z.string().regex(/^[\w.-]+$/, 'expected letters, digits, ".", "_" or "-"')
const flags = z.record(
  z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected the name of a flag without "--"'),
  z.union([z.string(), z.number(), z.boolean()]),
)
/** Dotted keys of the config of a run, with their values. */
const settings = z.record(z.string().min(1), z.unknown())

const BatchSchema = z.strictObject({
  $schema: z.string().optional(),
  name,
  base: z.string().min(1),
  matrix: z.record(z.string().min(1), z.array(z.unknown()).min(1, 'expected at least one value')).default({}),
  variants: z
    .record(name, z.array(z.strictObject({ name, set: settings })).min(1, 'expected at least one variant'))
    .default({}),
  set: settings.default({}),
  steps: z.array(z.enum(STEPS)).min(1).default(['generate']),
  train: flags.default({}),
  evaluate: flags.default({}),
  shares: z.int().positive().optional(),
  output: z.strictObject({ folder: z.string().min(1) }),
})

export interface BatchConfig extends z.output<typeof BatchSchema> {
  /** Absolute path of the batch file. */
  readonly file: string
  /** Absolute path of the base config. */
  readonly basePath: string
  /** Absolute path of the folder of all jobs. */
  readonly folder: string
  /** file:line:column of the value at these keys. */
  readonly place: (keys: readonly string[]) => string
}

export const BATCH_HINT = 'docs/batch.md explains every key; configs/batch.yaml is an example'

export async function loadBatch(file: string): Promise<BatchConfig> {
  const { value, place } = await readYamlFile(file, BatchSchema, { what: 'batch', hint: BATCH_HINT })
  const absolute = resolve(file)
  const path = (relative: string) => resolve(dirname(absolute), relative)
  // In this order whatever the order in the file: each needs what the one before it made.
  const ordered = STEPS.filter((step) => value.steps.includes(step))
  if (ordered[0] !== 'generate') {
    throw yamlProblems(
      [`${place(['steps'])}: steps: expected generate among them, got none`],
      'batch',
      BATCH_HINT,
    )
  }
  return {
    ...value,
    steps: ordered,
    file: absolute,
    basePath: path(value.base),
    folder: path(value.output.folder),
    place,
  }
}
