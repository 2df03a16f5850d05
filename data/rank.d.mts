// Types of rank.mjs, for the tests.
export function rank(seed: string, purpose: string, key: string): string
export function fraction(seed: string, purpose: string, key: string): number
export function shuffle<T>(
  items: readonly T[],
  seed: string,
  purpose: string,
  keyOf?: (item: T) => string,
): T[]
