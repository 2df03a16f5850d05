// One attempt over HTTP, by itself or for a provider's SDK: a fetch whose failures are ProviderFailures (status, the provider's words,
// Retry-After), with a time limit that covers the body too. SDKs lose the headers or keep the key in their errors.
import { ProviderFailure, providerWords, retryAfterMs } from './failure.ts'
import { KeptConnectionEnded, post, type Received } from './post.ts'

export type Fetch = typeof globalThis.fetch

export interface AttemptOptions {
  /** Instead of Node's own. */
  readonly fetch?: Fetch | undefined
  readonly timeoutMs: number
  readonly key: string | undefined
  readonly keyName: string
  readonly now: () => number
}

/** Asks once and returns the answer's JSON. Throws ProviderFailures only. */
export async function ask(options: AttemptOptions, url: string, init: RequestInit): Promise<unknown> {
  return (await exchange(options, url, init, AbortSignal.timeout(options.timeoutMs))).body
}

/** Asks once for what is no JSON, such as JSON lines. Throws ProviderFailures only. */
export async function askText(options: AttemptOptions, url: string, init: RequestInit): Promise<string> {
  return (await answered(options, url, init, AbortSignal.timeout(options.timeoutMs))).text
}

/** Runs an SDK's `attempt` with a fetch of its own and returns the body of its last answer. Throws ProviderFailures only. */
export async function overHttp(
  options: AttemptOptions,
  attempt: (fetch: Fetch) => Promise<unknown>,
): Promise<unknown> {
  const timeout = AbortSignal.timeout(options.timeoutMs)
  // The first failure is the true one: SDKs wrap it, some twice.
  let failure: unknown
  let body: unknown
  try {
    await attempt(async (url, init) => {
      try {
        const answer = await exchange(options, url, init, timeout)
        body = answer.body
        return new Response(answer.text, {
          status: answer.status,
          headers: { 'content-type': 'application/json' },
        })
      } catch (error) {
        failure ??= error
        throw error
      }
    })
    return body
  } catch (error) {
    if (failure !== undefined) throw failure
    if (error instanceof ProviderFailure) throw error
    // SDKs refuse answers for fields that servers leave out and nobody here reads.
    if (typeof body === 'object' && body !== null && 'choices' in body) return body
    const words = providerWords((error as Error).message, options.key)
    throw new ProviderFailure(`could not be used: ${words}`, { retry: 'never' })
  }
}

async function exchange(
  options: AttemptOptions,
  url: Parameters<Fetch>[0],
  init: RequestInit | undefined,
  timeout: AbortSignal,
): Promise<{ readonly status: number; readonly text: string; readonly body: unknown }> {
  const answer = await answered(options, url, init, timeout)
  const body = parsed(answer.text)
  if (body === undefined) throw broken('an answer that is not JSON')
  return { ...answer, body }
}

async function answered(
  options: AttemptOptions,
  url: Parameters<Fetch>[0],
  init: RequestInit | undefined,
  timeout: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  let received: Received
  try {
    received = await send(options.fetch, url, { ...init, signal: timeout })
  } catch (error) {
    throw timeout.aborted ? timedOut(options) : notReached(error, options)
  }
  const { status, text } = received
  if (status < 200 || status > 299) throw refused(received, options)
  return { status, text }
}

async function send(
  fetch: Fetch | undefined,
  url: Parameters<Fetch>[0],
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Received> {
  const { method, headers, body, signal } = init
  if (fetch === undefined && method === 'POST' && typeof body === 'string') {
    return post(String(url), Object.fromEntries(new Headers(headers)), body, signal)
  }
  const response = await (fetch ?? globalThis.fetch)(url, init)
  const { status, statusText } = response
  return { status, statusText, headers: response.headers, text: await response.text() }
}

/** An answer with status 200 that is no completion: worth a few attempts. */
export function broken(what: string): ProviderFailure {
  return new ProviderFailure(`sent ${what}`, {
    retry: 'briefly',
    hint: 'check llm.baseUrl and llm.api: something answered there, but not with completions',
  })
}

function timedOut(options: AttemptOptions): ProviderFailure {
  return new ProviderFailure(`did not answer within ${options.timeoutMs / 1000} seconds`, {
    retry: 'patiently',
    timedOut: true,
    hint: 'raise llm.timeoutSeconds, or lower llm.concurrency, and run again with --resume',
  })
}

function notReached(error: unknown, options: AttemptOptions): ProviderFailure {
  const { message, cause } = error as Error
  const { code, message: inner } = (cause ?? error) as { code?: string; message?: string }
  // An AggregateError (several addresses tried) has an empty message, but a code.
  const words = providerWords(inner || code || message, options.key)
  return new ProviderFailure(`could not be reached (${words})`, {
    retry: 'patiently',
    // An idle connection that was closed says nothing of how much the server takes.
    unreached: !(error instanceof KeptConnectionEnded),
    hint: 'check the network and llm.baseUrl, and run again with --resume',
  })
}

function refused({ status, statusText, headers, text }: Received, options: AttemptOptions): ProviderFailure {
  const { message, code } = providerMessage(text)
  const words = providerWords(message || statusText, options.key)
  const after = retryAfterMs(headers, options.now())
  const spent = code === 'insufficient_quota' || status === 402
  const again = [408, 409, 425, 429].includes(status) || status >= 500
  const hint = spent
    ? 'the account has no credit left: add some, and run again with --resume'
    : hints(options)[status]
  return new ProviderFailure(`answered ${status}${words === '' ? '' : `: ${words}`}`, {
    status,
    retry: again && !spent ? 'patiently' : 'never',
    ...(after === undefined ? {} : { retryAfterMs: after }),
    ...(hint === undefined ? {} : { hint }),
  })
}

function hints({ key, keyName }: AttemptOptions): Readonly<Record<number, string>> {
  const moved = 'llm.baseUrl leads elsewhere; name the address that it leads to'
  return {
    ...Object.fromEntries([301, 302, 303, 307, 308].map((status) => [status, moved])),
    400: 'the endpoint does not take one of the settings under llm, or the prompt is too long for the model',
    401: `check the key in the environment variable ${keyName}${key === undefined ? ' (it is not set)' : ''}`,
    403: `the key in the environment variable ${keyName} may not use this model`,
    404: 'check llm.model and llm.baseUrl',
    422: 'the endpoint does not take one of the settings under llm',
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) ?? undefined
  } catch {
    return undefined
  }
}

/** `{error: {message, code}}`, `{error: "..."}`, `{message}`, `{detail}`; anything else (HTML) is left out. */
function providerMessage(text: string): { readonly message: string; readonly code: unknown } {
  const body = parsed(text) as { error?: unknown; message?: unknown; detail?: unknown } | undefined
  const error = body?.error as { message?: unknown; code?: unknown } | string | null | undefined
  const inner = typeof error === 'object' ? error?.message : error
  const message = [inner, body?.message, body?.detail].find((value) => typeof value === 'string')
  return { message: String(message ?? ''), code: typeof error === 'object' ? error?.code : undefined }
}
