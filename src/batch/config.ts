// The file of a batch: a base config, a matrix of values over it, and the steps of every job. Strict, with all problems at
// once, as for the config of a run.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import { withoutQuotes } from '../config/load.ts'
import { PretextError } from '../errors.ts'

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
}

export async function loadBatch(file: string): Promise<BatchConfig> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new PretextError(`${file}: expected a batch file, could not read one`, {
      code: 'config',
      hint: 'configs/batch.yaml is an example',
      cause: error,
    })
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number | undefined): string => {
    const { line, col } = lines.linePos(offset ?? 0)
    return `${file}:${line}:${col}`
  }
  if (document.errors.length > 0)
    throw problems(document.errors.map((error) => `${at(error.pos[0])}: ${withoutQuotes(error.message)}`))
  const parsed = BatchSchema.safeParse(document.toJS() ?? {})
  if (!parsed.success) {
    throw problems(
      parsed.error.issues.map((issue) => {
        const keys = issue.path.map(String)
        return `${at(offsetOf(document, keys))}: ${keys.join('.') || 'the batch'}: ${issue.message}`
      }),
    )
  }
  const absolute = resolve(file)
  const path = (relative: string) => resolve(dirname(absolute), relative)
  const { steps } = parsed.data
  // In this order whatever the order in the file: each needs what the one before it made.
  const ordered = STEPS.filter((step) => steps.includes(step))
  if (ordered[0] !== 'generate') {
    throw problems([`${at(offsetOf(document, ['steps']))}: steps: expected generate among them, got none`])
  }
  return {
    ...parsed.data,
    steps: ordered,
    file: absolute,
    basePath: path(parsed.data.base),
    folder: path(parsed.data.output.folder),
  }
}

/** Offset of the value at `keys`, or of the nearest parent that is in the file. */
function offsetOf(document: ReturnType<typeof parseDocument>, keys: readonly string[]): number | undefined {
  for (let length = keys.length; length > 0; length--) {
    const node = document.getIn(keys.slice(0, length), true) as
      | { range?: [number, number, number] }
      | undefined
    if (node?.range) return node.range[0]
  }
  return undefined
}

function problems(lines: readonly string[]): PretextError {
  const heading = lines.length === 1 ? '' : `${lines.length} problems in the batch:\n`
  return new PretextError(`${heading}${lines.join('\n')}`, {
    code: 'config',
    hint: 'docs/batch.md explains every key; configs/batch.yaml is an example',
  })
}
