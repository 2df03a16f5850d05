// A language model as a config describes it: provider -> adaptive concurrency -> retry -> limit -> cache -> meter.
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { adaptive } from './adaptive.ts'
import { cached } from './cache.ts'
import type { Fetch } from './http.ts'
import { type LimitOptions, limited } from './limit.ts'
import { metered, type Usage } from './meter.ts'
import type { LanguageModel } from './model.ts'
import { cost, PRICES_DATE, type Price, priceOf } from './prices.ts'
import { type RetryOptions, retrying } from './retry.ts'

export interface LanguageModelConfig {
  readonly provider: 'llama' | 'openai' | 'huggingface' | 'scripted'
  /** A name of the model store, a GGUF file or a Hub id (llama); the provider's name of the model (others). */
  readonly model: string
  readonly baseUrl?: string | undefined
  /** Name of the environment variable that holds the key. */
  readonly apiKeyEnv?: string | undefined
  readonly api?: 'chat' | 'completions' | undefined
  /** Requests at once; by default llama evaluates 8 together, and a remote server gets as many as it answers fastest. */
  readonly concurrency?: number | undefined
  /** openai: gathered into batches, at half the price and within a day. */
  readonly batch?: boolean | undefined
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly timeoutSeconds?: number | undefined
  readonly patienceMinutes?: number | undefined
  /** llama: prompt and completion of one request together. */
  readonly contextTokens?: number | undefined
  readonly threads?: number | undefined
  readonly gpu?: 'auto' | false | undefined
  readonly maxTokensField?: 'max_tokens' | 'max_completion_tokens' | undefined
  readonly extraBody?: Readonly<Record<string, unknown>> | undefined
  /** Instead of the built-in price. */
  readonly price?: Price | undefined
}

export interface LanguageModelDependencies {
  /** Finds and verifies the file of a local model; the model store's work. Needed by llama alone. */
  readonly resolveModel?: (model: string) => Promise<{ readonly path: string; readonly sha256: string }>
  /** The request cache; without it nothing is remembered. */
  readonly cacheFile?: string
  readonly onEvent?: OnEvent
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly fetch?: Fetch
  /** For tests: the clock and the waiting of retries and limits. */
  readonly time?: Pick<RetryOptions & LimitOptions, 'now' | 'sleep'>
}

export interface PricedUsage extends Usage {
  /** US dollars; null for a model without a price. */
  readonly dollars: number | null
  /** Date of the built-in prices; null where none of them was used. */
  readonly pricesDate: string | null
}

export interface OpenedLanguageModel {
  readonly model: LanguageModel
  usage(): PricedUsage
}

export async function createLanguageModel(
  config: LanguageModelConfig,
  deps: LanguageModelDependencies = {},
): Promise<OpenedLanguageModel> {
  const { cacheFile, onEvent = ignoreEvents, time = {} } = deps
  const provider = await openProvider(config, deps, onEvent)
  const { concurrency, requestsPerMinute, tokensPerMinute, patienceMinutes } = config
  const remote = config.provider === 'openai' || config.provider === 'huggingface'
  const paced =
    remote && concurrency === undefined && config.batch !== true
      ? adaptive(provider, given({ now: time.now }))
      : provider
  const patient = retrying(paced, given({ patienceMinutes, onEvent, ...time }))
  const atPace = limited(patient, given({ concurrency, requestsPerMinute, tokensPerMinute, ...time }))
  try {
    const remembered = cacheFile === undefined ? atPace : await cached(atPace, cacheFile)
    const model = metered(remembered)
    return { model, usage: () => priced(model.usage(), config) }
  } catch (error) {
    await provider.dispose()
    throw error
  }
}

/** Modules of providers are loaded when they are used: most runs need one of them. */
async function openProvider(
  config: LanguageModelConfig,
  deps: LanguageModelDependencies,
  onEvent: OnEvent,
): Promise<LanguageModel> {
  const { model, concurrency, apiKeyEnv, api, timeoutSeconds, extraBody } = config
  const remote = {
    model,
    concurrency,
    apiKeyEnv,
    api,
    timeoutSeconds,
    extraBody,
    env: deps.env,
    fetch: deps.fetch,
    now: deps.time?.now,
  }
  switch (config.provider) {
    case 'llama': {
      if (deps.resolveModel === undefined) throw new TypeError('expected deps.resolveModel, got none')
      const { path: modelPath, sha256 } = await deps.resolveModel(model)
      const { createLlamaModel } = await import('./llama.ts')
      const { contextTokens, threads, gpu } = config
      const options = { sequences: concurrency, contextTokens, threads, gpu }
      return createLlamaModel({ modelPath, sha256, onEvent, ...given(options) })
    }
    case 'openai': {
      const { baseUrl, maxTokensField, batch } = config
      if (batch === true) {
        const { createOpenAiBatchModel } = await import('./openai-batch.ts')
        const stateFile = deps.cacheFile === undefined ? undefined : `${deps.cacheFile}.batches`
        const own = { ...remote, baseUrl, maxTokensField, stateFile, sleep: deps.time?.sleep }
        return createOpenAiBatchModel({ ...given(own), model, onEvent })
      }
      const { createOpenAiCompatibleModel } = await import('./openai-compatible.ts')
      return createOpenAiCompatibleModel({ ...given({ ...remote, baseUrl, maxTokensField }), model })
    }
    case 'huggingface': {
      const { createHuggingFaceModel } = await import('./huggingface.ts')
      return createHuggingFaceModel({ ...given({ ...remote, endpointUrl: config.baseUrl }), model })
    }
    case 'scripted': {
      const { createScriptedModel } = await import('./scripted.ts')
      const input = api === 'chat' ? 'chat' : 'completion'
      return createScriptedModel({ input, ...given({ concurrency }) })
    }
    default:
      throw new PretextError(
        `expected llm.provider to be llama, openai, huggingface or scripted, got ${config.provider}`,
        { code: 'config', hint: 'correct llm.provider' },
      )
  }
}

function priced(usage: Usage, config: LanguageModelConfig): PricedUsage {
  // What runs here or on a server of one's own has no price by the token, whatever its name.
  const listed =
    config.provider === 'openai' && config.baseUrl === undefined ? priceOf(config.model, config.batch) : null
  return {
    ...usage,
    dollars: cost(config.model, usage, config.price ?? listed),
    pricesDate: config.price === undefined && listed !== null ? PRICES_DATE : null,
  }
}

type Given<T> = { [Key in keyof T]: Exclude<T[Key], undefined> }

/** Leaves out what is undefined, so that defaults apply. */
function given<T extends object>(options: T): Partial<Given<T>> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<
    Given<T>
  >
}
