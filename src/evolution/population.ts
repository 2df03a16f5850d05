// The population: synthetic candidates, and their files. Everything here is public.
import { z } from 'zod'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'

const CandidateSchema = z.strictObject({
  text: z.string(),
  /** Label, in a label-conditional run. */
  label: z.string().optional(),
  /** Round after which it was made; 0 for the initial population. */
  born: z.int().nonnegative(),
  /** What made it: an operator's name, "public", "zero-shot", or "kept" for a parent that had no accepted variation. */
  origin: z.string(),
})

export interface Candidate {
  readonly text: string
  readonly label?: string
  readonly born: number
  readonly origin: string
}

export type Population = readonly Candidate[]

export async function writePopulation(file: string, population: Population): Promise<void> {
  await writeDurable(file, population.map((candidate) => `${JSON.stringify(candidate)}\n`).join(''))
}

export async function readPopulation(file: string): Promise<Population | undefined> {
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => {
      try {
        return CandidateSchema.parse(JSON.parse(line)) as Candidate
      } catch (error) {
        throw new PretextError(`${file}:${i + 1}: expected a candidate, got something else`, {
          code: 'data',
          hint: 'files of a run are not edited by hand; start a new run',
          cause: error,
        })
      }
    })
}

/** Value of a per-round schedule: a constant, or one value a round (the last one repeats). `round` counts from 1. */
export function scheduled(schedule: number | readonly number[], round: number): number {
  if (typeof schedule === 'number') return schedule
  return schedule[Math.min(round, schedule.length) - 1] as number
}

/**
 * How many of `total` go to each label by its share: largest remainders, so that the sizes add up exactly. `least` go to
 * every label with a positive share first, if there are enough: a label without candidates could never vote again.
 */
export function apportion(shares: readonly number[], total: number, least = 0): number[] {
  const positive = shares.map((share) => (share > 0 ? least : 0))
  const reserved = positive.reduce((a, b) => a + b, 0)
  if (least > 0 && reserved <= total) {
    return apportion(shares, total - reserved).map((size, i) => size + (positive[i] as number))
  }
  const sum = shares.reduce((a, b) => a + b, 0)
  const exact = shares.map((share) => (sum > 0 ? (share / sum) * total : total / shares.length))
  const sizes = exact.map(Math.floor)
  const order = exact.map((value, i) => ({ i, rest: value - Math.floor(value) }))
  order.sort((a, b) => b.rest - a.rest || a.i - b.i)
  const missing = total - sizes.reduce((a, b) => a + b, 0)
  for (const { i } of order.slice(0, missing)) sizes[i] = (sizes[i] as number) + 1
  return sizes
}
