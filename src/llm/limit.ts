// Requests and tokens per minute, and requests at once. The limits are of a sliding window: what was started in the last
// 60 seconds counts.
import pLimit from 'p-limit'
import type { CompletionRequest, LanguageModel } from './model.ts'
import { pause } from './pause.ts'
import { estimateTokens } from './tokens.ts'

export interface LimitOptions {
  readonly concurrency?: number
  readonly requestsPerMinute?: number
  /** Counted as the provider does before it answers: the prompt's tokens and `maxTokens`. */
  readonly tokensPerMinute?: number
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly now?: () => number
}

const WINDOW_MS = 60_000

export function limited(model: LanguageModel, options: LimitOptions): LanguageModel {
  const {
    concurrency = model.concurrency,
    requestsPerMinute = Infinity,
    tokensPerMinute = Infinity,
    now = Date.now,
    sleep = pause,
  } = options
  const atOnce = pLimit(concurrency)
  // One at a time decides when it may start, so that requests start in the order they came.
  const inTurn = pLimit(1)
  const started: { readonly at: number; readonly tokens: number }[] = []

  /** Milliseconds until a request of so many tokens fits; one larger than the limit goes alone. */
  function delay(tokens: number): number {
    const time = now()
    while (started[0] !== undefined && started[0].at <= time - WINDOW_MS) started.shift()
    let requests = started.length
    let used = started.reduce((sum, entry) => sum + entry.tokens, 0)
    let until = 0
    for (const entry of started) {
      if (requests + 1 <= requestsPerMinute && used + tokens <= tokensPerMinute) break
      requests--
      used -= entry.tokens
      until = entry.at + WINDOW_MS - time
    }
    return until
  }

  async function turn(request: CompletionRequest, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    const counted = tokensPerMinute === Infinity ? 0 : await estimateTokens(request.input)
    const tokens = counted + request.maxTokens
    for (let ms = delay(tokens); ms > 0; ms = delay(tokens)) await sleep(ms, signal)
    signal?.throwIfAborted()
    started.push({ at: now(), tokens })
  }

  const timed = requestsPerMinute !== Infinity || tokensPerMinute !== Infinity
  return {
    ...model,
    concurrency,
    complete: (request, complete = {}) =>
      atOnce(async () => {
        complete.signal?.throwIfAborted()
        if (timed) await inTurn(() => turn(request, complete.signal))
        return model.complete(request, complete)
      }),
  }
}
