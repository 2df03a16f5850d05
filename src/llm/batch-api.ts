// The four calls of OpenAI's Batch API (https://platform.openai.com/docs/guides/batch): put a file of requests there, begin
// a batch, ask how it is, and fetch what it answered. Half the price, within a day.
import { ask, askText, broken } from './http.ts'
import type { Answer, Endpoint } from './openai-compatible.ts'

export interface BatchState {
  readonly id: string
  readonly status: string
  readonly input_file_id?: string | null
  readonly output_file_id?: string | null
  readonly error_file_id?: string | null
  readonly errors?: { readonly data?: readonly { readonly message?: string }[] } | null
}

/** One line of an output or error file. */
export interface BatchAnswer {
  readonly custom_id: string
  readonly response?: { readonly status_code?: number; readonly body?: Answer } | null
  readonly error?: { readonly message?: string } | null
}

/** No more will come from it. */
export function isOver({ status }: BatchState): boolean {
  return ['completed', 'failed', 'expired', 'cancelled'].includes(status)
}

/** Throws ProviderFailures only. */
export function batchApi({ url, api, headers, attempt }: Endpoint) {
  function call(path: string, init: RequestInit = {}): Promise<unknown> {
    const all = { ...headers, ...(init.headers as Record<string, string> | undefined) }
    return ask(attempt, `${url}${path}`, { ...init, headers: all })
  }

  async function named<T extends { readonly id: string }>(answer: Promise<unknown>): Promise<T> {
    const value = (await answer) as Partial<T> | null
    if (typeof value?.id !== 'string') throw broken('an answer without an id')
    return value as T
  }

  return {
    async upload(lines: string): Promise<string> {
      const body = new FormData()
      body.set('purpose', 'batch')
      body.set('file', new Blob([lines], { type: 'application/jsonl' }), 'requests.jsonl')
      return (await named<{ id: string }>(call('/files', { method: 'POST', body }))).id
    },
    begin(file: string): Promise<BatchState> {
      const endpoint = api === 'chat' ? '/v1/chat/completions' : '/v1/completions'
      const body = JSON.stringify({ input_file_id: file, endpoint, completion_window: '24h' })
      const type = { 'content-type': 'application/json' }
      return named(call('/batches', { method: 'POST', headers: type, body }))
    },
    /** The batch of a file, if one was begun: after a crash in between nobody wrote its id down. */
    async begunWith(file: string): Promise<BatchState | undefined> {
      const list = (await call('/batches?limit=100')) as { readonly data?: readonly BatchState[] }
      return list.data?.find(({ input_file_id }) => input_file_id === file)
    },
    look: (id: string): Promise<BatchState> => named(call(`/batches/${encodeURIComponent(id)}`)),
    async answers(file: string): Promise<BatchAnswer[]> {
      const text = await askText(attempt, `${url}/files/${encodeURIComponent(file)}/content`, { headers })
      try {
        return text
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map((line) => JSON.parse(line) as BatchAnswer)
      } catch {
        throw broken('a file of answers that is not JSON lines')
      }
    },
  }
}
