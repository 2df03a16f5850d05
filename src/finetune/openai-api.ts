// Calls to an OpenAI-style API for fine-tuning: tried again while that can help, and never made twice. After an answer that
// got lost, a call that creates something first looks whether it was created.
import type OpenAI from 'openai'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { ProviderFailure } from '../llm/failure.ts'
import { type Fetch, overHttp } from '../llm/http.ts'
import { OPENAI_URL } from '../llm/openai-compatible.ts'
import { pause } from '../llm/pause.ts'
import { seededRandom } from '../random.ts'

export interface OpenAiApiOptions {
  /** Up to and with `/v1`; OpenAI itself by default. */
  readonly baseUrl?: string
  /** Name of the environment variable with the key; OPENAI_API_KEY by default. */
  readonly apiKeyEnv?: string
  readonly timeoutSeconds?: number
  /** How long one call is tried, from its first failure on; 10 minutes by default. */
  readonly patienceMinutes?: number
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly fetch?: Fetch
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly now?: () => number
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
}

export interface Creation<T> {
  /** Looks for what an earlier attempt may have created. */
  readonly find: () => Promise<T | undefined>
  /** Whether an earlier process may have tried: then it is looked for before the first attempt too. */
  readonly begun: boolean
}

export interface OpenAiApi {
  readonly url: string
  /** The answer of one call of the SDK. `what` stands in the messages: "uploading the training file". */
  call<T>(what: string, ask: (client: OpenAI) => PromiseLike<T>): Promise<T>
  create<T>(what: string, ask: (client: OpenAI) => PromiseLike<T>, creation: Creation<T>): Promise<T>
}

const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000

export async function createOpenAiApi(options: OpenAiApiOptions = {}): Promise<OpenAiApi> {
  const { baseUrl: url = OPENAI_URL, apiKeyEnv, env = process.env, fetch } = options
  const { timeoutSeconds = 300, patienceMinutes = 10, now = Date.now, sleep = pause, signal } = options
  const onEvent = options.onEvent ?? ignoreEvents
  const keyName = apiKeyEnv ?? 'OPENAI_API_KEY'
  const key = env[keyName] || undefined
  if (key === undefined && (url === OPENAI_URL || apiKeyEnv !== undefined)) {
    throw new PretextError(`expected the API key in the environment variable ${keyName}, it is not set`, {
      code: 'dependency',
      hint: `export ${keyName}=..., or name another variable with --api-key-env`,
    })
  }
  const { default: Client } = await import('openai')
  const random = seededRandom(0, 'openai-api').next

  const once = <T>(ask: (client: OpenAI) => PromiseLike<T>): Promise<T> =>
    overHttp({ fetch, timeoutMs: timeoutSeconds * 1000, key, keyName, now }, async (fetchOnce) =>
      ask(
        new Client({
          apiKey: key ?? 'none',
          baseURL: url,
          organization: null,
          project: null,
          maxRetries: 0,
          timeout: timeoutSeconds * 2000,
          logLevel: 'off',
          // With its Response the SDK need not send a request to learn whether this fetch takes forms.
          fetch: Object.assign((...request: Parameters<Fetch>) => fetchOnce(...request), { Response }),
        }),
      ),
    ) as Promise<T>

  async function call<T>(
    what: string,
    ask: (client: OpenAI) => PromiseLike<T>,
    creation?: Creation<T>,
  ): Promise<T> {
    let firstFailure: number | undefined
    let warned = false
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted()
      try {
        const found = creation && (creation.begun || attempt > 1) ? await creation.find() : undefined
        return found ?? (await once(ask))
      } catch (error) {
        if (!(error instanceof ProviderFailure)) throw error
        if (error.retry === 'never') throw refused(what, error, keyName)
        firstFailure ??= now()
        const waited = now() - firstFailure
        const cap = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1))
        const wait = Math.max(error.retryAfterMs ?? 0, random() * cap)
        if (waited + wait > patienceMinutes * 60_000) {
          throw new PretextError(`${what}: ${url} ${error.message} (${attempt} attempts)`, {
            code: 'provider',
            hint: 'run the same command again later: it goes on where it stopped, and nothing is paid twice',
          })
        }
        if (!warned) onEvent({ type: 'warning', message: `${what}: ${url} ${error.message}; trying again` })
        warned = true
        await sleep(wait, signal)
      }
    }
  }
  return { url, call: (what, ask) => call(what, ask), create: call }
}

function refused(what: string, failure: ProviderFailure, keyName: string): PretextError {
  const { status } = failure
  const hints: Readonly<Record<number, string>> = {
    400: 'check --model: is it one that can be fine-tuned there?',
    401: `check the key in the environment variable ${keyName}`,
    403: `the key in the environment variable ${keyName} may not fine-tune this model`,
    404: 'check --model and --base-url: is it an endpoint with the fine-tuning API, and a model it can tune?',
  }
  const ours = status !== undefined && [401, 403, 404].includes(status)
  return new PretextError(`${what}: the endpoint ${failure.message}`, {
    code: ours ? 'dependency' : 'provider',
    hint: (status === undefined ? undefined : hints[status]) ?? failure.hint ?? 'put it right and run again',
  })
}
