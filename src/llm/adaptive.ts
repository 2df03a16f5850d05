// How many requests a remote server gets at once, found while it works. The number doubles as long as that makes it answer
// faster in all (tokens per second), goes back where it does not, and halves when the server says that it is too much (429,
// 503, no answer in time). So a laptop's llama.cpp and a cluster's vLLM are both kept busy, with nothing to configure.
import { setMaxListeners } from 'node:events'
import { ProviderFailure } from './failure.ts'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'

export interface AdaptiveOptions {
  /** Requests at once in the beginning, and at most; default 8 and 2,048 (a GPU was fullest with 1,024). */
  readonly first?: number
  readonly most?: number
  readonly now?: () => number
}

export interface AdaptiveModel extends LanguageModel {
  /** Requests at once now. */
  limit(): number
}

/** A level is left only for one that does this much more. */
const GAIN = 1.1
/** Levels that a server refused or that brought nothing are tried again after so many measurements. */
const REST = 12
/** Fewer answers say too little. */
const FEWEST_ANSWERS = 8
const TOO_MUCH: readonly (number | undefined)[] = [429, 503, 529]

/** Between a provider and its retries: an attempt that waits to be repeated holds no place. */
export function adaptive(model: LanguageModel, options: AdaptiveOptions = {}): AdaptiveModel {
  const { first = 8, most = 2048, now = Date.now } = options
  const waiting: (() => void)[] = []
  let limit = Math.min(first, most)
  let running = 0
  /** Counts the levels: an answer tells about the one that its request started under. */
  let level = 0
  /** What the last level that was worth it did. */
  let settled = { limit, rate: 0 }
  let rest = 0
  let measured = freshMeasurement()

  function freshMeasurement() {
    return { left: limit / 2, answers: 0, tokens: 0, ms: 0, idle: false }
  }

  function go(to: number): void {
    limit = Math.max(1, Math.min(most, to))
    level++
    measured = freshMeasurement()
    admit()
  }

  function admit(): void {
    while (running < limit) {
      const next = waiting.shift()
      if (next === undefined) return
      running++
      next()
    }
  }

  /**
   * After each answer: enough of them under one level, all places taken, are a measurement. What comes out of so many
   * places is their number over the time that one is held (Little's law), however the answers bunch; the first ones, of a
   * server that was not full yet, are left out.
   */
  function answered({ promptTokens, completionTokens }: Completion, startedAt: number, ms: number): void {
    if (waiting.length === 0) measured.idle = true
    if (startedAt !== level) return
    if (measured.left > 0) {
      measured.left--
      return
    }
    measured.answers++
    measured.tokens += promptTokens + completionTokens
    measured.ms += ms
    if (measured.answers < Math.max(FEWEST_ANSWERS, limit)) return
    const rate = (limit * measured.tokens) / Math.max(1, measured.ms)
    // Too few requests to fill the places: that says nothing about the server.
    if (measured.idle) measured = freshMeasurement()
    else decide(rate)
  }

  function decide(rate: number): void {
    if (limit > settled.limit && rate < GAIN * settled.rate) {
      rest = REST
      go(settled.limit)
      return
    }
    settled = { limit, rate }
    const grows = rest === 0 && limit < most
    rest = Math.max(0, rest - 1)
    if (grows) go(2 * limit)
    else measured = freshMeasurement()
  }

  function failed(error: unknown, startedAt: number): void {
    if (!(error instanceof ProviderFailure) || startedAt !== level) return
    // No connection may mean that there are too many; below the first level it has another reason.
    const tooMany = error.timedOut || (error.unreached && limit > first)
    if (!TOO_MUCH.includes(error.status) && error.retryAfterMs === undefined && !tooMany) return
    const to = Math.max(1, Math.floor(limit / 2))
    settled = { limit: to, rate: 0 }
    rest = REST
    go(to)
  }

  async function place(signal: AbortSignal | undefined): Promise<void> {
    if (running < limit && waiting.length === 0) {
      running++
      return
    }
    await new Promise<void>((resolve, reject) => {
      const stop = () => {
        waiting.splice(waiting.indexOf(start), 1)
        reject(signal?.reason)
      }
      const start = () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      }
      // Fuller again: what was measured while places were empty would spoil the rest.
      if (measured.idle) measured = freshMeasurement()
      waiting.push(start)
      // Hundreds wait for one signal.
      if (signal !== undefined) setMaxListeners(0, signal)
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  return {
    ...model,
    concurrency: most,
    limit: () => limit,
    async complete(request: CompletionRequest, complete = {}) {
      complete.signal?.throwIfAborted()
      await place(complete.signal)
      const startedAt = level
      const began = now()
      try {
        const completion = await model.complete(request, complete)
        answered(completion, startedAt, now() - began)
        return completion
      } catch (error) {
        failed(error, startedAt)
        throw error
      } finally {
        running--
        admit()
      }
    },
  }
}
