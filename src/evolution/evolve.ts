// The loop of PrE-Text: rounds 1 to T, each sealed in the run folder before the next begins, so that a run goes on
// where it stopped. Each round's folder holds the population that was voted on, the release, and the survivors.
import { type Population, readPopulation, scheduled, writePopulation } from './population.ts'
import { type RoundOptions, type RoundResult, type RoundSteps, round } from './round.ts'

export interface EvolveOptions extends Omit<RoundOptions, 'nextSize'> {
  readonly rounds: number
  readonly population: number | readonly number[]
  /** Folder of round t; T + 1 holds the final population. */
  readonly roundFolder: (t: number) => string
  readonly initial: () => Promise<Population>
  /** Whether round t was finished by an earlier process. */
  readonly sealed: (t: number) => Promise<boolean>
  /** Seals round t. */
  readonly seal: (t: number, population: Population, result: RoundResult) => Promise<void>
}

/** Survivors of all rounds (the seeds of the corpus), and the population after the last round. */
export async function evolve(
  steps: RoundSteps,
  options: EvolveOptions,
): Promise<{ readonly survivors: Population; readonly population: Population }> {
  const populationFile = (t: number) => `${options.roundFolder(t)}/population.jsonl`
  const survivorsFile = (t: number) => `${options.roundFolder(t)}/survivors.jsonl`
  let population = await readPopulation(populationFile(1))
  if (population === undefined) {
    population = await options.initial()
    await writePopulation(populationFile(1), population)
  }
  const survivors = new Map<string, Population[number]>()
  const keep = (of: Population) => {
    for (const s of of) survivors.set(`${s.label ?? ''}\u0000${s.text}`, s)
  }
  for (let t = 1; t <= options.rounds; t++) {
    if (await options.sealed(t)) {
      keep((await readPopulation(survivorsFile(t))) ?? [])
      population = (await readPopulation(populationFile(t + 1))) ?? population
      continue
    }
    const nextSize = scheduled(options.population, t + 1)
    const result = await round(t, population, steps, { ...options, nextSize })
    keep(result.survivors)
    await writePopulation(survivorsFile(t), result.survivors)
    await writePopulation(populationFile(t + 1), result.next)
    await options.seal(t, population, result)
    population = result.next
  }
  return { survivors: [...survivors.values()], population }
}
