// Hugging Face: Inference Providers (`model: org/name` or `org/name:provider`), or an Inference Endpoint of one's own.
import type { InferenceProviderOrPolicy } from '@huggingface/inference'
import { PretextError } from '../errors.ts'
import { type Fetch, overHttp } from './http.ts'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'
import { completionFrom } from './openai-compatible.ts'
import { providerModelId } from './provider-id.ts'
import { asMessages, asPrompt, checkRequest } from './request.ts'

export interface HuggingFaceOptions {
  /** `org/name`, or `org/name:provider` to take one provider. */
  readonly model: string
  /** An Inference Endpoint; without it, Inference Providers. */
  readonly endpointUrl?: string
  /** HF_TOKEN by default; an endpoint may need none. */
  readonly apiKeyEnv?: string
  readonly api?: 'chat' | 'completions'
  readonly concurrency?: number
  readonly timeoutSeconds?: number
  readonly extraBody?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly fetch?: Fetch
  readonly now?: () => number
}

export async function createHuggingFaceModel(options: HuggingFaceOptions): Promise<LanguageModel> {
  const { endpointUrl, api = 'chat', env = process.env, fetch } = options
  const { apiKeyEnv: keyName = 'HF_TOKEN', timeoutSeconds = 120, now = Date.now } = options
  const key = env[keyName] || undefined
  if (key === undefined && (endpointUrl === undefined || options.apiKeyEnv !== undefined)) {
    throw new PretextError(
      `expected a Hugging Face token in the environment variable ${keyName}, it is not set`,
      {
        code: 'dependency',
        hint: `export ${keyName}=..., or name another variable with llm.apiKeyEnv`,
      },
    )
  }
  const [model = options.model, provider] = options.model.split(':')
  const { chatCompletion, textGeneration } = await import('@huggingface/inference')
  const target = {
    model,
    ...(key === undefined ? {} : { accessToken: key }),
    ...(endpointUrl === undefined ? {} : { endpointUrl }),
    ...(provider === undefined ? {} : { provider: provider as InferenceProviderOrPolicy }),
  }

  // The signal is looked at before sending only: what was sent is paid for, and is worth having.
  async function complete(
    request: CompletionRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Completion> {
    checkRequest(request)
    signal?.throwIfAborted()
    const { sampling, maxTokens, seed } = request
    const stop = request.stop.filter((string) => string !== '').slice(0, 4)
    const { temperature, topP, minP = 0, topK = 0 } = sampling
    const common = {
      temperature,
      top_p: topP,
      seed,
      ...(stop.length === 0 ? {} : { stop }),
      ...(minP > 0 ? { min_p: minP } : {}),
      ...(topK > 0 ? { top_k: topK } : {}),
    }
    const attempt = { fetch, timeoutMs: timeoutSeconds * 1000, key, keyName, now }
    // The SDK drops why a text ended and what it cost; the body still has both.
    const body = await overHttp(attempt, (fetchOnce): Promise<unknown> => {
      const how = { fetch: fetchOnce, retry_on_error: false }
      if (api === 'completions') {
        const parameters = { ...common, max_new_tokens: maxTokens, ...options.extraBody }
        return textGeneration({ ...target, inputs: asPrompt(request.input), parameters }, how)
      }
      const messages = asMessages(request.input).map(({ role, content }) => ({ role, content }))
      return chatCompletion(
        { ...target, messages, ...common, max_tokens: maxTokens, ...options.extraBody },
        how,
      )
    })
    return completionFrom(body as Parameters<typeof completionFrom>[0], request)
  }

  return {
    id: providerModelId('huggingface', { ...options, url: endpointUrl }),
    input: api === 'chat' ? 'chat' : 'completion',
    concurrency: options.concurrency ?? 8,
    complete,
    async dispose() {},
  }
}
