// Walks every branch of a sampler: each coin is taken both ways and each uniform integer in every value, so that the mass
// of an output is a sum of exact path probabilities and not an estimate. Branches lighter than `lightest` stay unwalked.
import type { Coins } from '../../src/privacy/bernoulli.ts'

export interface Walked {
  /** Mass of the paths that end in each output; undefined is a rejected try. */
  readonly mass: ReadonlyMap<bigint | undefined, number>
  /** Mass of the branches that were not walked to their end. */
  readonly rest: number
}

class Undecided extends Error {
  constructor(readonly weights: readonly number[]) {
    super()
  }
}

export function walk(sampler: (coins: Coins) => bigint | undefined, lightest: number): Walked {
  const mass = new Map<bigint | undefined, number>()
  let rest = 0
  const open: { readonly path: readonly number[]; readonly weight: number }[] = [{ path: [], weight: 1 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { path, weight } = next
    if (weight < lightest) {
      rest += weight
      continue
    }
    let at = 0
    const decide = (weights: () => number[]): number => {
      const choice = path[at++]
      if (choice === undefined) throw new Undecided(weights())
      return choice
    }
    try {
      const output = sampler({
        below: (bound) => BigInt(decide(() => new Array<number>(Number(bound)).fill(1 / Number(bound)))),
        bernoulli: (n, d) => decide(() => [1 - Number(n) / Number(d), Number(n) / Number(d)]) === 1,
      })
      mass.set(output, (mass.get(output) ?? 0) + weight)
    } catch (error) {
      if (!(error instanceof Undecided)) throw error
      error.weights.forEach((share, choice) => {
        if (share > 0) open.push({ path: [...path, choice], weight: weight * share })
      })
    }
  }
  return { mass, rest }
}
