// Seeded order without a random generator: things are ordered by the SHA-256 of (seed, purpose, key).
// Such an order does not move when other things come or go, so a newer index changes the data as little as possible.
import { createHash } from 'node:crypto'

/** Hex digest that ranks `key`; different purposes give independent orders. */
export function rank(seed, purpose, key) {
  return createHash('sha256').update(`${seed}\n${purpose}\n${key}`).digest('hex')
}

/** The rank as a number in [0, 1): the share of keys that lie below it. */
export function fraction(seed, purpose, key) {
  return Number.parseInt(rank(seed, purpose, key).slice(0, 12), 16) / 2 ** 48
}

/** A shuffled copy of `items`, ordered by the rank of `keyOf(item)`. */
export function shuffle(items, seed, purpose, keyOf = (item) => item) {
  return items
    .map((item) => ({ item, at: rank(seed, purpose, keyOf(item)) }))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .map(({ item }) => item)
}
