// Any endpoint that speaks the OpenAI API: OpenAI, vLLM, SGLang, a llama.cpp server, most clouds. Chat or completions.
import { PretextError } from '../errors.ts'
import { type AttemptOptions, ask, broken, type Fetch } from './http.ts'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'
import { providerModelId } from './provider-id.ts'
import { asMessages, asPrompt, checkRequest } from './request.ts'
import { cutAtStop } from './stop.ts'
import { estimateTokens, tokenCounter } from './tokens.ts'

export interface OpenAiCompatibleOptions {
  readonly model: string
  /** Up to and with `/v1`; OpenAI itself by default. */
  readonly baseUrl?: string
  /** Name of the environment variable with the key; OPENAI_API_KEY by default. An own server may need none. */
  readonly apiKeyEnv?: string
  readonly organisation?: string
  readonly api?: 'chat' | 'completions'
  readonly concurrency?: number
  readonly timeoutSeconds?: number
  /** OpenAI's chat wants `max_completion_tokens`, most others `max_tokens`; by default as `baseUrl` suggests. */
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens'
  /** Whether `min_p` and `top_k`, which OpenAI refuses, are sent; by default to any other endpoint. */
  readonly extendedSampling?: boolean
  /** Sent with every request as it is. */
  readonly extraBody?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly fetch?: Fetch
  readonly now?: () => number
}

export const OPENAI_URL = 'https://api.openai.com/v1'
/** The API takes no more; further ones are cut here. */
const MOST_STOPS = 4

/** What both APIs answer, as far as it is used; servers leave parts of it out. */
export interface Answer {
  readonly choices?: readonly {
    readonly finish_reason?: string | null
    readonly text?: string | null
    readonly message?: { readonly content?: string | null; readonly refusal?: string | null } | null
  }[]
  readonly usage?: { readonly prompt_tokens?: number; readonly completion_tokens?: number } | null
}

/** What both ways of asking, one by one and in batches, need of the options. */
export interface Endpoint {
  readonly id: string
  readonly api: 'chat' | 'completions'
  /** Up to and with `/v1`. */
  readonly url: string
  /** Who asks: of every request. */
  readonly headers: Readonly<Record<string, string>>
  readonly attempt: AttemptOptions
  body(request: CompletionRequest): Record<string, unknown>
}

export function openAiEndpoint(options: OpenAiCompatibleOptions): Endpoint {
  const { baseUrl = OPENAI_URL, api = 'chat', env = process.env, fetch } = options
  const own = baseUrl === OPENAI_URL
  const { apiKeyEnv: keyName = 'OPENAI_API_KEY', timeoutSeconds = 120, now = Date.now } = options
  const key = env[keyName] || undefined
  if (key === undefined && (own || options.apiKeyEnv !== undefined)) {
    throw new PretextError(`expected the API key in the environment variable ${keyName}, it is not set`, {
      code: 'dependency',
      hint: `export ${keyName}=..., or name another variable with llm.apiKeyEnv`,
    })
  }
  checkSendable({ [`the environment variable ${keyName}`]: key, 'llm.organisation': options.organisation })
  const maxTokensField =
    options.maxTokensField ?? (own && api === 'chat' ? 'max_completion_tokens' : 'max_tokens')
  const extended = options.extendedSampling ?? !own

  function body(request: CompletionRequest): Record<string, unknown> {
    const { sampling, stop, maxTokens, seed } = request
    const { temperature, topP, minP = 0, topK = 0 } = sampling
    const stops = stop.filter((string) => string !== '').slice(0, MOST_STOPS)
    return {
      model: options.model,
      temperature,
      top_p: topP,
      [maxTokensField]: maxTokens,
      seed,
      ...(stops.length === 0 ? {} : { stop: stops }),
      ...(extended && minP > 0 ? { min_p: minP } : {}),
      ...(extended && topK > 0 ? { top_k: topK } : {}),
      ...(api === 'chat' ? { messages: asMessages(request.input) } : { prompt: asPrompt(request.input) }),
      ...options.extraBody,
    }
  }
  return {
    id: providerModelId('openai', { ...options, url: own ? undefined : baseUrl }),
    api,
    url: baseUrl.replace(/\/+$/, ''),
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(options.organisation === undefined ? {} : { 'openai-organization': options.organisation }),
    },
    attempt: { fetch, timeoutMs: timeoutSeconds * 1000, key, keyName, now },
    body,
  }
}

/** What could never be sent is said at once: no request would succeed. */
function checkSendable(values: Readonly<Record<string, string | undefined>>): void {
  for (const [what, value = ''] of Object.entries(values)) {
    try {
      new Headers({ value })
    } catch {
      throw new PretextError(`expected ${what} to be what an HTTP header can hold, it is not`, {
        code: 'config',
        hint: 'look for quotation marks, spaces and line breaks that were copied with it',
      })
    }
  }
}

export async function createOpenAiCompatibleModel(options: OpenAiCompatibleOptions): Promise<LanguageModel> {
  const { id, api, url, headers, attempt, body } = openAiEndpoint(options)
  const address = `${url}${api === 'chat' ? '/chat/completions' : '/completions'}`
  // The signal is looked at before sending only: what was sent is paid for, and is worth having.
  async function complete(
    request: CompletionRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Completion> {
    checkRequest(request)
    signal?.throwIfAborted()
    // Without the SDK, whose work of its own a fast server waits for: tries, time and errors are counted here anyway.
    const answer = await ask(attempt, address, {
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body(request)),
    })
    return completionFrom(answer as Answer, request)
  }

  return {
    id,
    input: api === 'chat' ? 'chat' : 'completion',
    concurrency: options.concurrency ?? 8,
    complete,
    async dispose() {},
  }
}

/** The first choice of an answer, ended before the first stop string wherever the server ended it. */
export async function completionFrom(answer: Answer, request: CompletionRequest): Promise<Completion> {
  const choice = answer.choices?.[0]
  if (choice === undefined) throw broken('an answer without choices')
  // A refusal is text: what uses it sees that it is one.
  const whole = choice.text ?? choice.message?.content ?? choice.message?.refusal ?? ''
  const { text, stopped } = cutAtStop(whole, request.stop)
  const reason = choice.finish_reason
  const finish =
    reason === 'content_filter' ? 'filtered' : reason === 'length' && !stopped ? 'length' : 'stop'
  const { prompt_tokens, completion_tokens } = answer.usage ?? {}
  return {
    text,
    finish,
    promptTokens: prompt_tokens ?? (await estimateTokens(request.input)),
    completionTokens: completion_tokens ?? (await tokenCounter())(whole),
    cached: false,
  }
}
