// Who the clients of the two-server benchmark are, and what they vote: the same in every process.
import { createHash } from 'node:crypto'
import { seededRandom } from '../src/random.ts'

export function secretOf(n: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`bench client ${n}`).digest())
}

/** Up to `most` candidates of `count`; every hundredth client breaks its proof. */
export function voteOf(n: number, count: number, most: number) {
  const random = seededRandom(n, 'two-server bench')
  const all = Array.from({ length: 1 + random.integer(most) }, () => random.integer(count))
  return { indices: [...new Set(all)].sort((a, b) => a - b), honest: n % 100 !== 99 }
}
