// Random bits for privacy: the operating system's generator, and nothing else. Noise is never seeded, reused or shared.
//
// Why this is private: the proofs of the samplers ask for independent uniform bits; a cryptographic generator's cannot be told
// from them by anybody with less than its 128 bits of work, so the guarantee is the computational one (Mironov, Pandey,
// Reingold and Vadhan, CRYPTO 2009). A Mersenne Twister gives its state away after 624 words (Garfinkel and Leclerc, 2020).
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

const WORDS = 2n ** 32n

/** A uniform integer in [0, bound) for a bound of any size: whole words, drawn again in the last, incomplete stretch. */
export function uniformBelowBig(random: PrivateRandom, bound: bigint): bigint {
  if (bound <= 0n) throw new RangeError(`expected a positive bound, got ${bound}`)
  if (bound <= WORDS) return BigInt(uniformBelow(random, Number(bound)))
  for (;;) {
    let value = 0n
    let range = 1n
    while (range < bound) {
      value = (value << 32n) | BigInt(random.word())
      range <<= 32n
    }
    if (value < range - (range % bound)) return value % bound
  }
}
