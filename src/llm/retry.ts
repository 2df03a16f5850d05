// Tries again what may work later: exponential back-off with full jitter (each wait is uniform between 0 and a doubling
// cap), never shorter than the provider asks, until patience ends. What cannot work later fails at once.
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { seededRandom } from '../random.ts'
import { ProviderFailure } from './failure.ts'
import type { CompletionRequest, LanguageModel } from './model.ts'
import { pause } from './pause.ts'

export interface RetryOptions {
  /** How long one request is tried, from its first failure on; default 10 minutes. */
  readonly patienceMinutes?: number
  /** In [0, 1), for the jitter; by default seeded by the request. */
  readonly random?: () => number
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly now?: () => number
  readonly onEvent?: OnEvent
}

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000
/** Attempts at an answer that came but was broken: an overloaded server does that, a wrong address does it for ever. */
const BRIEF_ATTEMPTS = 4

export function retrying(model: LanguageModel, options: RetryOptions = {}): LanguageModel {
  const { patienceMinutes = 10, sleep = pause, now = Date.now, onEvent = ignoreEvents } = options
  const patienceMs = patienceMinutes * 60_000
  // One warning per kind of trouble until something works again: a thousand requests meet the same outage.
  const warned = new Set<string>()

  async function complete(request: CompletionRequest, { signal }: { readonly signal?: AbortSignal } = {}) {
    const random = options.random ?? seededRandom(request.seed, 'retry').next
    let firstFailure: number | undefined
    let brokenAnswers = 0
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      try {
        const completion = await model.complete(request, signal === undefined ? {} : { signal })
        warned.clear()
        return completion
      } catch (error) {
        if (!(error instanceof ProviderFailure)) throw error
        if (error.retry === 'never') throw refusal(model.id, error)
        if (error.retry === 'briefly' && ++brokenAnswers >= BRIEF_ATTEMPTS) {
          throw gaveUp(`${model.id} ${error.message}, ${BRIEF_ATTEMPTS} times`, error)
        }
        firstFailure ??= now()
        const waited = now() - firstFailure
        const cap = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))
        const pauseMs = Math.max(error.retryAfterMs ?? 0, random() * cap)
        if (waited + pauseMs > patienceMs) throw outOfPatience(model.id, error, waited, attempt, pauseMs)
        const kind = `${error.status ?? error.message}`
        if (!warned.has(kind)) {
          warned.add(kind)
          const message = `${model.id} ${error.message}; trying again for up to ${minutes(patienceMs)}`
          onEvent({ type: 'warning', message })
        }
        await sleep(pauseMs, signal)
      }
    }
  }
  return { ...model, complete }
}

function refusal(id: string, failure: ProviderFailure): PretextError {
  const ours = failure.status !== undefined && [401, 403, 404].includes(failure.status)
  return new PretextError(`${id} ${failure.message}`, {
    code: ours ? 'dependency' : 'provider',
    hint: failure.hint ?? 'nothing that was paid is lost: put it right and run again with --resume',
  })
}

function outOfPatience(
  id: string,
  failure: ProviderFailure,
  waitedMs: number,
  attempts: number,
  pauseMs: number,
): PretextError {
  const { status, message, retryAfterMs } = failure
  const asked = retryAfterMs === pauseMs && pauseMs > LONGEST_WAIT_MS
  const wish = asked ? `, and asks to wait ${minutes(pauseMs)} more` : ''
  const tries = attempts === 1 ? '1 attempt' : `${attempts} attempts`
  if (status === undefined) return gaveUp(`${id} ${message}, for ${minutes(waitedMs)} (${tries})`, failure)
  const words = message.replace(`answered ${status}`, '')
  return gaveUp(`${id} answered ${status} for ${minutes(waitedMs)} (${tries})${wish}${words}`, failure)
}

function gaveUp(message: string, failure: ProviderFailure): PretextError {
  return new PretextError(message, {
    code: 'provider',
    hint:
      failure.hint ??
      'nothing that was paid is lost: run again with --resume, perhaps with a lower llm.concurrency or llm.requestsPerMinute',
  })
}

function minutes(ms: number): string {
  if (ms < 90_000) return `${Math.round(ms / 1000)} seconds`
  return `${Math.round(ms / 60_000)} minutes`
}
