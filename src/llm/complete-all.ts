// Runs many requests through one language model, as many at once as it takes, and yields the completions in order.
import pLimit from 'p-limit'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'

/** Requests waiting behind the first unfinished one, in units of the model's concurrency. */
const LOOKAHEAD = 4

/**
 * Completions in the order of the requests. Requests are taken from the iterable only a little ahead of what is
 * yielded, so an endless iterable is fine: stop when there is enough. After the first failure, an abort, or a stop by
 * the caller no further request is sent, and those that were sent are finished first, so that a cache keeps what was paid.
 */
export async function* completeAll(
  model: LanguageModel,
  requests: Iterable<CompletionRequest>,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Completion> {
  const limit = pLimit(model.concurrency)
  // What waits for a place in the model is stopped with what waits here.
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, ...(options.signal === undefined ? [] : [options.signal])])
  const iterator = requests[Symbol.iterator]()
  const window: Promise<Completion>[] = []
  let stopped = false
  const start = (request: CompletionRequest): Promise<Completion> => {
    const result = limit(async () => {
      if (stopped) throw new Error('not started: an earlier request failed')
      signal.throwIfAborted()
      return model.complete(request, { signal })
    })
    result.catch(() => {
      stopped = true
    })
    return result
  }
  try {
    for (;;) {
      while (window.length < model.concurrency * LOOKAHEAD) {
        const next = iterator.next()
        if (next.done === true) break
        window.push(start(next.value))
      }
      const first = window.shift()
      if (first === undefined) return
      yield await first
    }
  } finally {
    stopped = true
    stop.abort(new Error('not started: there is enough'))
    await Promise.allSettled(window)
  }
}
