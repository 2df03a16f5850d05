// The seeded generator for everything that is not privacy noise: sampling of parents, prompts, seeds of requests.
// Every use is named (`fork`), so that adding a draw in one place does not shift the draws of another.
import { createHash } from 'node:crypto'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

export interface Random {
  /** A float in [0, 1). */
  next(): number
  /** An integer in [0, bound). */
  integer(bound: number): number
  /** One item, uniformly; throws RangeError on an empty list. */
  pick<T>(items: readonly T[]): T
  /** `count` different items in random order (all of them if there are fewer). */
  sample<T>(items: readonly T[], count: number): T[]
  /** A generator of its own for a named use, independent of how much was drawn here. */
  fork(...name: (string | number)[]): Random
}

export function seededRandom(seed: number, ...name: (string | number)[]): Random {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...name]))
    .digest()
  const generator = xoroshiro128plus(digest.readInt32LE(0))
  const integer = (bound: number): number => uniformInt(generator, 0, bound - 1)
  return {
    next: () => uniformFloat64(generator),
    integer,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0)
        throw new RangeError('expected a list with at least one item to pick from, got none')
      return items[integer(items.length)] as T
    },
    sample<T>(items: readonly T[], count: number): T[] {
      const pool = [...items]
      const taken = Math.min(count, pool.length)
      for (let i = 0; i < taken; i++) {
        const j = i + integer(pool.length - i)
        ;[pool[i], pool[j]] = [pool[j] as T, pool[i] as T]
      }
      return pool.slice(0, taken)
    },
    fork: (...more) => seededRandom(seed, ...name, ...more),
  }
}
