// Which of its texts a client uses: at most maxTextsPerClient, by the client's own cryptographic randomness, anew in
// every run (design rule 4.3). Never seeded: who knew the choice could tell which text made a vote.

/** An unbiased integer in [0, bound) from the system's generator: Web Crypto, which browsers have too. */
function randomBelow(bound: number): number {
  const limit = 2 ** 32 - (2 ** 32 % bound)
  const word = new Uint32Array(1)
  do crypto.getRandomValues(word)
  while ((word[0] as number) >= limit)
  return (word[0] as number) % bound
}

/**
 * `max` different positions out of 0..count-1, each subset equally likely; all of them where there are no more.
 * `drawBelow(n)` gives an unbiased integer in [0, n); only tests pass another.
 */
export function chooseTexts(
  count: number,
  max: number,
  drawBelow: (bound: number) => number = randomBelow,
): number[] {
  if (!Number.isSafeInteger(count) || count < 0)
    throw new RangeError(`expected the number of texts to be an integer from 0 up, got ${count}`)
  if (!Number.isSafeInteger(max) || max < 1)
    throw new RangeError(`expected maxTextsPerClient to be an integer from 1 up, got ${max}`)
  const positions = Array.from({ length: count }, (_, i) => i)
  if (count <= max) return positions
  for (let i = 0; i < max; i++) {
    const j = i + drawBelow(count - i)
    const taken = positions[j] as number
    positions[j] = positions[i] as number
    positions[i] = taken
  }
  return positions.slice(0, max)
}
