// Texts that are being written take every step together. Left to themselves they fall out of step: a few tokens come back
// later than the others and miss the next batch, and llama.cpp evaluates apart what does not follow each other by number in a
// batch. Both cost almost as much as another whole batch: 16 texts together took 1.7 times as long (bench/llm.ts).

export interface LockStep {
  /** From here on a step waits for this one, whose prompt comes first. */
  join(place: number): void
  /** Resolves when all that have joined are here, in the order of their places. */
  next(place: number): Promise<void>
  leave(place: number): void
}

export function lockStep(): LockStep {
  const joined = new Set<number>()
  const here = new Map<number, () => void>()

  function go(): void {
    if (here.size < joined.size) return
    const inOrder = [...here].sort(([a], [b]) => a - b)
    here.clear()
    for (const [, start] of inOrder) start()
  }

  return {
    join: (place) => void joined.add(place),
    next: (place) =>
      new Promise((start) => {
        here.set(place, start)
        // Not at once: whoever comes last begins to wait first, or it would go on after all others.
        queueMicrotask(go)
      }),
    leave(place) {
      joined.delete(place)
      go()
    },
  }
}
