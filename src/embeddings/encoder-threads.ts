// The threads of an embedder. The first is there from the start; another one starts when work has waited, so that a few texts
// do not pay for loading a model again.
import type { Thread } from '../thread.ts'
import type { EncoderQuestion } from './encoder-thread.ts'
import type { Matrix } from './matrix.ts'

export type EncoderThread = Thread<EncoderQuestion>

export interface EncoderThreads {
  /** Embeds texts in one thread, as soon as one is free. */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Matrix>
  close(): Promise<void>
}

/** Loading takes about twice as long, of a core that others may want. */
const PATIENCE_MS = 500

/** What a longer text counts for: its end is cut off. */
const MOST_CHARACTERS = 1_024

/**
 * Starts up to `most` threads in all. A thread that cannot be started (a GPU may have no room for another model) is not
 * tried again, since the work goes on without it.
 */
export function encoderThreads(
  first: EncoderThread,
  most: number,
  start: () => Promise<EncoderThread>,
): EncoderThreads {
  const all = [first]
  const free = [first]
  const waiting: ((thread: EncoderThread) => void)[] = []
  let timer: NodeJS.Timeout | undefined
  // One thread at a time: while it starts, others may come to wait.
  let starting: Promise<void> | undefined
  let full = most <= 1

  const give = (thread: EncoderThread) => {
    const next = waiting.shift()
    if (next === undefined) free.push(thread)
    else next(thread)
  }
  const grow = async () => {
    if (waiting.length === 0 || full) return
    try {
      const thread = await start()
      if (full) return await thread.close()
      all.push(thread)
      full = all.length >= most
      give(thread)
    } catch {
      full = true
    }
  }
  const growSoon = () => {
    if (full || waiting.length === 0 || timer !== undefined) return
    timer = setTimeout(async () => {
      starting = grow()
      await starting
      timer = undefined
      growSoon()
    }, PATIENCE_MS)
  }
  const take = (): Promise<EncoderThread> => {
    const thread = free.pop()
    if (thread !== undefined) return Promise.resolve(thread)
    return new Promise((resolve) => {
      waiting.push(resolve)
      growSoon()
    })
  }

  return {
    async embed(texts, signal) {
      const thread = await take()
      try {
        signal?.throwIfAborted()
        return await thread.ask<Matrix>({ type: 'embed', texts })
      } finally {
        give(thread)
      }
    },
    async close() {
      full = true
      clearTimeout(timer)
      await starting
      await Promise.all(all.map((thread) => thread.close()))
    },
  }
}

/** Positions of texts of like length that go to a thread together, at most `most` characters, the longest first. */
export function pieces(texts: readonly string[], most: number): number[][] {
  const size = (i: number) => Math.min((texts[i] as string).length, MOST_CHARACTERS)
  const order = texts.map((_, i) => i).sort((a, b) => size(b) - size(a) || a - b)
  const all: number[][] = []
  let characters = Number.POSITIVE_INFINITY
  for (const i of order) {
    characters += size(i)
    if (characters > most) {
      all.push([])
      characters = size(i)
    }
    all.at(-1)?.push(i)
  }
  return all
}
