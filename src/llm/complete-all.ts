// Runs many requests through one language model, as many at once as it takes, and yields the completions in order.
import pLimit from 'p-limit'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'

/**
 * Completions in the order of the requests, each as soon as all before it are there. After the first failure or an
 * abort no further request is started, and those in flight are finished before the error is thrown, so that a cache
 * keeps what was paid.
 */
export async function* completeAll(
  model: LanguageModel,
  requests: Iterable<CompletionRequest>,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<Completion> {
  const limit = pLimit(model.concurrency)
  let stopped = false
  const pending = [...requests].map((request) => {
    const result = limit(async () => {
      if (stopped) throw new Error('not started: an earlier request failed')
      options.signal?.throwIfAborted()
      return model.complete(request, options)
    })
    result.catch(() => {
      stopped = true
    })
    return result
  })
  try {
    for (const completion of pending) yield await completion
  } finally {
    stopped = true
    await Promise.allSettled(pending)
  }
}
