// Variations for every place of the next population: several steps, several attempts, several operators.
import type { Random } from '../random.ts'
import type { Candidate, Population } from './population.ts'
import type { Place, VariationOperator } from './variation/operator.ts'

export interface VariationOptions {
  readonly operators: readonly VariationOperator[]
  /** Operators applied one after the other to each place in a round (the paper's t_steps). */
  readonly steps: number
  /** Tries again with another seed that many times before the parent is kept. */
  readonly attempts: number
}

export interface VaryTask {
  /** The candidate that each place starts from. */
  readonly parents: Population
  /** Where companions come from. */
  readonly survivors: Population
  readonly round: number
  readonly degree: number
  readonly random: Random
  readonly signal?: AbortSignal
  /** Called when a place has its variation of a step, or has given up. */
  readonly onDone?: () => void
}

/** One candidate for each parent, in order. A place whose every attempt failed keeps its parent, with origin "kept". */
export async function vary(task: VaryTask, options: VariationOptions): Promise<Population> {
  const { random, round, degree, signal } = task
  let current: Population = task.parents
  for (let step = 0; step < options.steps; step++) {
    const next: Candidate[] = current.map((parent) => ({ ...parent, origin: 'kept' }))
    const operators = current.map((_, i) => random.fork('operator', round, step, i).pick(options.operators))
    let open = current.map((_, i) => i)
    for (let attempt = 0; attempt <= options.attempts && open.length > 0; attempt++) {
      const failed: number[] = []
      for (const operator of new Set(operators)) {
        const mine = open.filter((i) => operators[i] === operator)
        const places = mine.map((i): Place => {
          const parent = current[i] as Candidate
          const own = random.fork('place', round, step, i, attempt)
          return { parent, companions: companionsOf(parent, task.survivors, own), random: own }
        })
        const texts = await operator.vary(places, { degree, ...(signal === undefined ? {} : { signal }) })
        texts.forEach((text, j) => {
          const i = mine[j] as number
          if (text === null) failed.push(i)
          else {
            next[i] = { ...(current[i] as Candidate), text, born: round, origin: operator.name }
            task.onDone?.()
          }
        })
      }
      open = failed.sort((a, b) => a - b)
    }
    for (const _ of open) task.onDone?.()
    current = next
  }
  return current
}

/** Most companions that any operator asks for. */
const COMPANIONS = 4

function companionsOf(parent: Candidate, survivors: Population, random: Random): readonly Candidate[] {
  const others = survivors.filter((s) => s.label === parent.label && s.text !== parent.text)
  return random.sample(others, COMPANIONS)
}
