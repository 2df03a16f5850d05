// The OpenAI API in batches (`llm.batch`): requests are gathered until no more come, sent as one batch, and answered when
// it is done, hours later perhaps. Which request went with which batch is on the disk before the batch begins, so that a
// run that was stopped waits for the batch it has paid and does not pay another.
import { setMaxListeners } from 'node:events'

import { appendDurable, readIfThere, truncateDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { type BatchAnswer, type BatchState, batchApi, isOver } from './batch-api.ts'
import { ProviderFailure, providerWords } from './failure.ts'
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'
import { completionFrom, type OpenAiCompatibleOptions, openAiEndpoint } from './openai-compatible.ts'
import { pause } from './pause.ts'
import { checkRequest, requestKey } from './request.ts'

export interface OpenAiBatchOptions extends OpenAiCompatibleOptions {
  /** JSON lines: batches and the keys of their requests (hashes, no text). Without it a stopped run pays again. */
  readonly stateFile?: string
  /** A batch is sent when no request has come for so long; default 2 seconds. */
  readonly gatherMs?: number
  /** Between two looks at a batch; default 30 seconds. */
  readonly lookMs?: number
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
  readonly onEvent?: OnEvent
}

/** The API takes no more in one batch. */
const MOST_REQUESTS = 50_000
/** Troubles on the way to one answer of the API before they are the request's own. */
const ATTEMPTS = 20

interface Gathered {
  readonly key: string
  readonly body: Record<string, unknown>
  readonly signal: AbortSignal | undefined
  readonly resolve: (answer: BatchAnswer | undefined) => void
  readonly reject: (reason: unknown) => void
}

/** A line of the state file: a file of requests that is at the provider, and later the batch made from it. */
interface StateLine {
  readonly file: string
  readonly keys?: readonly string[]
  readonly batch?: string
}

type Answers = ReadonlyMap<string, BatchAnswer>

export async function createOpenAiBatchModel(options: OpenAiBatchOptions): Promise<LanguageModel> {
  const { stateFile, gatherMs = 2_000, lookMs = 30_000, sleep = pause, onEvent = ignoreEvents } = options
  const endpoint = openAiEndpoint(options)
  const api = batchApi(endpoint)
  /** By the key of a request: the batch that it went with, before or now. Asked for only when somebody wants it. */
  const sent = new Map<string, () => Promise<Answers>>()
  const closing = new AbortController()
  let gathered: Gathered[] = []
  let timer: NodeJS.Timeout | undefined

  const note = async (line: StateLine) => {
    if (stateFile !== undefined) await appendDurable(stateFile, JSON.stringify(line))
  }

  for (const [file, { keys, batch }] of await readState(stateFile)) {
    const answers = once(async () => {
      const begun = batch ?? (await patiently(() => api.begunWith(file)))?.id ?? (await begin(file))
      return outcome(begun)
    })
    for (const key of keys) sent.set(key, answers)
  }

  /** Tries again what may work later: a day is long, and a network fails now and then. */
  async function patiently<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const again = error instanceof ProviderFailure && error.retry !== 'never' && attempt < ATTEMPTS
        if (!again) throw error
        await sleep(Math.max(lookMs, error.retryAfterMs ?? 0), closing.signal)
      }
    }
  }

  /** Never tried twice without looking: a batch that was begun costs money even where its answer was lost. */
  async function begin(file: string): Promise<string> {
    const batch = await patiently(async () => (await api.begunWith(file)) ?? (await api.begin(file)))
    await note({ file, batch: batch.id })
    return batch.id
  }

  async function outcome(id: string): Promise<Answers> {
    let state: BatchState = await patiently(() => api.look(id))
    while (!isOver(state)) {
      await sleep(lookMs, closing.signal)
      state = await patiently(() => api.look(id))
    }
    const files = [state.output_file_id, state.error_file_id].filter((file) => typeof file === 'string')
    if (files.length === 0 && state.status === 'failed') throw refused(state, endpoint.attempt.key)
    const answers = new Map<string, BatchAnswer>()
    for (const file of files) {
      for (const answer of await patiently(() => api.answers(file))) answers.set(answer.custom_id, answer)
    }
    return answers
  }

  async function send(): Promise<void> {
    clearTimeout(timer)
    const batch = gathered.filter(({ signal }) => signal?.aborted !== true)
    gathered = []
    if (batch.length === 0) return
    try {
      const line = ({ key, body }: Gathered) =>
        JSON.stringify({
          custom_id: key,
          method: 'POST',
          url: endpoint.api === 'chat' ? '/v1/chat/completions' : '/v1/completions',
          body,
        })
      const file = await patiently(() => api.upload(`${batch.map(line).join('\n')}\n`))
      await note({ file, keys: batch.map(({ key }) => key) })
      const id = await begin(file)
      onEvent({
        type: 'note',
        message: `${endpoint.id}: batch ${id} of ${batch.length} requests, within 24 hours`,
      })
      const answers = await outcome(id)
      for (const { key, resolve } of batch) resolve(answers.get(key))
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  /** What waits for its batch is not sent after an abort; what was sent is paid, and its answer found later. */
  function gather(
    key: string,
    request: CompletionRequest,
    signal: AbortSignal | undefined,
  ): Promise<BatchAnswer | undefined> {
    return new Promise((resolve, reject) => {
      gathered.push({ key, body: endpoint.body(request), signal, resolve, reject })
      clearTimeout(timer)
      if (gathered.length === MOST_REQUESTS) void send()
      else timer = setTimeout(send, gatherMs)
    })
  }

  async function complete(
    request: CompletionRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Completion> {
    checkRequest(request)
    signal?.throwIfAborted()
    const key = requestKey(endpoint.id, request)
    const before = sent.get(key)
    const earlier = before === undefined ? undefined : (await stoppable(before(), signal)).get(key)
    // What an earlier batch did not answer is asked again.
    sent.delete(key)
    const answer = usable(earlier) ? earlier : await stoppable(gather(key, request, signal), signal)
    if (usable(answer)) return completionFrom(answer?.response?.body ?? {}, request)
    const status = answer?.response?.status_code
    const words = providerWords(
      answer?.error?.message ?? 'no answer within the time of the batch',
      endpoint.attempt.key,
    )
    const lasting = status !== undefined && status >= 400 && status < 500 && status !== 429
    throw new ProviderFailure(`left a request of a batch unanswered: ${words}`, {
      retry: lasting ? 'never' : 'briefly',
    })
  }

  return {
    id: endpoint.id,
    input: endpoint.api === 'chat' ? 'chat' : 'completion',
    concurrency: options.concurrency ?? MOST_REQUESTS,
    complete,
    async dispose() {
      clearTimeout(timer)
      closing.abort(new Error('the language model was disposed'))
      for (const { reject } of gathered.splice(0)) reject(closing.signal.reason)
    },
  }
}

function usable(answer: BatchAnswer | undefined): boolean {
  return answer?.response?.status_code === 200 && answer.response.body !== undefined
}

function refused({ errors }: BatchState, key: string | undefined): ProviderFailure {
  const words = providerWords(errors?.data?.[0]?.message ?? 'no reason given', key)
  return new ProviderFailure(`refused the batch: ${words}`, { retry: 'never' })
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work()
    return result
  }
}

/** The signal ends the waiting, not the batch: it is paid, and the next run finds it. */
async function stoppable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  let stop: (() => void) | undefined
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    // Thousands wait for one signal.
    setMaxListeners(0, signal)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    return await Promise.race([work, stopped])
  } finally {
    signal.removeEventListener('abort', stop as () => void)
  }
}

/** By file of requests. A line that a crash tore off is cut away: no batch was begun before it was whole. */
async function readState(path: string | undefined) {
  const files = new Map<string, { readonly keys: readonly string[]; readonly batch: string | undefined }>()
  const text = path === undefined ? '' : ((await readIfThere(path)) ?? '')
  const whole = text.lastIndexOf('\n') + 1
  if (path !== undefined && whole < text.length)
    await truncateDurable(path, Buffer.byteLength(text.slice(0, whole)))
  for (const [i, line] of text.split('\n').slice(0, -1).entries()) {
    let value: StateLine
    try {
      value = JSON.parse(line) as StateLine
    } catch (cause) {
      throw new PretextError(`${path}:${i + 1}: expected a line about a batch, got something else`, {
        code: 'storage',
        hint: 'move the file away; the batches that it names are then paid again',
        cause,
      })
    }
    const known = files.get(value.file)
    files.set(value.file, { keys: value.keys ?? known?.keys ?? [], batch: value.batch ?? known?.batch })
  }
  return files
}
