// Random bits for privacy: the operating system's generator, and nothing else. Noise is never seeded, reused or shared.
import { randomFillSync } from 'node:crypto'

export interface PrivateRandom {
  /** A uniform 32-bit word. */
  word(): number
}

/** Words from node:crypto, fetched in blocks. Every word is given out once and wiped. */
export function systemRandom(): PrivateRandom {
  const pool = new Uint32Array(4096)
  let next = pool.length
  return {
    word() {
      if (next === pool.length) {
        randomFillSync(pool)
        next = 0
      }
      const word = pool[next] as number
      pool[next++] = 0
      return word
    },
  }
}

/** A uniform integer in [0, bound), bound <= 2^32, without modulo bias. */
export function uniformBelow(random: PrivateRandom, bound: number): number {
  if (!(Number.isInteger(bound) && bound > 0 && bound <= 2 ** 32)) {
    throw new RangeError(`expected an integer bound between 1 and 2^32, got ${bound}`)
  }
  const limit = 2 ** 32 - (2 ** 32 % bound)
  for (;;) {
    const word = random.word()
    if (word < limit) return word % bound
  }
}
