// The jobs of a batch: the product of its matrix and its variants, in a fixed order, each with a name that says its values.
// The same file gives the same jobs under the same names on every machine, so that shares fit together and jobs resume.
import { createHash } from 'node:crypto'
import { PretextError } from '../errors.ts'
import { infinityAsText } from '../report/json.ts'
import type { BatchConfig } from './config.ts'

export interface Job {
  /** Position among all jobs, from 0. */
  readonly index: number
  /** Name of its folder. */
  readonly id: string
  /** What it varies, for the summary: the last word of each key, and the value. */
  readonly values: Readonly<Record<string, string>>
  /** `key=value` for --set, in order. */
  readonly settings: readonly string[]
}

interface Choice {
  readonly column: string
  readonly shown: string
  readonly set: Readonly<Record<string, unknown>>
}

export function jobsOf(batch: BatchConfig): Job[] {
  const axes: Choice[][] = [
    ...Object.entries(batch.variants).map(([column, variants]) =>
      variants.map((variant) => ({ column, shown: variant.name, set: variant.set })),
    ),
    ...Object.entries(batch.matrix).map(([key, values]) =>
      values.map((value) => ({
        column: lastWord(key, batch),
        shown: valueText(value),
        set: { [key]: value },
      })),
    ),
  ]
  let products: Choice[][] = [[]]
  for (const axis of axes) products = products.flatMap((chosen) => axis.map((choice) => [...chosen, choice]))
  const jobs = products.map((chosen, index) => jobOf(batch, chosen, index))
  const twice = jobs.find((job, i) => jobs.some((other, j) => j < i && other.id === job.id))
  if (twice !== undefined) {
    throw new PretextError(`${batch.file}: expected different jobs, got ${twice.id} twice`, {
      code: 'config',
      hint: 'name each value of the matrix once',
    })
  }
  return jobs
}

function jobOf(batch: BatchConfig, chosen: readonly Choice[], index: number): Job {
  const settings = { ...batch.set, ...Object.assign({}, ...chosen.map((choice) => choice.set)) }
  const words = chosen.map(({ column, shown }) => `${column}-${shown}`.replace(/[^\w.-]+/g, '_'))
  // Long or odd values are told apart by their hash.
  const plain = words.join('_')
  const id =
    plain.length > 0 && plain.length <= 80 && chosen.every(({ shown }) => /^[\w.-]+$/.test(shown))
      ? plain
      : `${plain.slice(0, 60) || 'job'}-${createHash('sha256').update(JSON.stringify(settings, infinityAsText)).digest('hex').slice(0, 8)}`
  return {
    index,
    id,
    values: Object.fromEntries(chosen.map(({ column, shown }) => [column, shown])),
    settings: Object.entries(settings).map(([key, value]) => `${key}=${yamlText(value)}`),
  }
}

/** "epsilon" of "privacy.epsilon"; the whole key where two would be the same. */
function lastWord(key: string, batch: BatchConfig): string {
  const last = (of: string) => of.split('.').at(-1) as string
  const word = last(key)
  const others = [
    ...Object.keys(batch.matrix)
      .filter((k) => k !== key)
      .map(last),
    ...Object.keys(batch.variants),
  ]
  return others.includes(word) ? key : word
}

function valueText(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY) return 'inf'
  return typeof value === 'string' ? value : JSON.stringify(value, infinityAsText)
}

/** As --set reads it: YAML, of which JSON is a part, but for infinity. */
function yamlText(value: unknown): string {
  return value === Number.POSITIVE_INFINITY ? '.inf' : JSON.stringify(value)
}
