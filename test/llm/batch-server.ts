// A local server that speaks OpenAI's Batch API, with the scripted model behind it. A batch is done when it is told so.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createScriptedModel } from '../../src/llm/scripted.ts'
import { json } from './server.ts'

interface Batch {
  id: string
  status: string
  input_file_id: string
  output_file_id: string | null
  error_file_id: string | null
  errors?: { data: { message: string }[] }
}

export interface BatchServer {
  readonly baseUrl: string
  readonly batches: Batch[]
  /** Requests of each file that was put there. */
  readonly uploads: {
    readonly custom_id: string
    readonly url: string
    readonly body: Record<string, unknown>
  }[][]
  /** Custom ids that are answered with this status. */
  readonly failing: Map<string, number>
  /** Batches are finished at the next look. */
  prompt: boolean
  /** The answer to the beginning of a batch is lost on the way. */
  loseNextBegin: boolean
  close(): Promise<void>
}

export async function startBatchServer(): Promise<BatchServer> {
  const model = createScriptedModel()
  const files = new Map<string, string>()

  async function finish(batch: Batch): Promise<void> {
    const lines = { done: [] as string[], failed: [] as string[] }
    const index = Number(batch.input_file_id.slice('file-'.length))
    for (const { custom_id, body } of (state.uploads[index] ?? []).toReversed()) {
      const status = state.failing.get(custom_id) ?? 200
      if (status !== 200) {
        lines.failed.push(
          JSON.stringify({ custom_id, response: { status_code: status }, error: { message: 'no' } }),
        )
        continue
      }
      const { text, promptTokens, completionTokens, finish } = await model.complete({
        input: { messages: body.messages as [] },
        sampling: { temperature: Number(body.temperature), topP: Number(body.top_p) },
        maxTokens: Number(body.max_tokens ?? body.max_completion_tokens),
        stop: (body.stop as string[] | undefined) ?? [],
        seed: Number(body.seed),
      })
      const answer = {
        choices: [{ index: 0, finish_reason: finish, message: { role: 'assistant', content: text } }],
        usage: { prompt_tokens: promptTokens, completion_tokens: completionTokens },
      }
      lines.done.push(
        JSON.stringify({ custom_id, response: { status_code: 200, body: answer }, error: null }),
      )
    }
    batch.status = 'completed'
    for (const [kind, key] of [
      ['done', 'output_file_id'],
      ['failed', 'error_file_id'],
    ] as const) {
      if (lines[kind].length === 0) continue
      batch[key] = `${kind}-${batch.id}`
      files.set(batch[key], `${lines[kind].join('\n')}\n`)
    }
  }

  const server = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const [, , what, id, content] = (incoming.url ?? '').split(/[/?]/)
    if (what === 'files' && content === 'content') return response.end(files.get(id ?? '') ?? '')
    if (what === 'files') {
      const type = incoming.headers['content-type'] ?? ''
      const form = await new Response(Buffer.concat(chunks), { headers: { 'content-type': type } }).formData()
      const text = await (form.get('file') as File).text()
      state.uploads.push(
        text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      )
      return json(response, 200, { id: `file-${state.uploads.length - 1}` })
    }
    if (incoming.method === 'GET' && (incoming.url ?? '').includes('limit=')) {
      return json(response, 200, { data: state.batches })
    }
    if (incoming.method === 'GET') {
      const batch = state.batches.find((known) => known.id === id)
      if (batch === undefined) return json(response, 404, { error: { message: 'no such batch' } })
      if (state.prompt && batch.status === 'in_progress') await finish(batch)
      return json(response, 200, batch)
    }
    const { input_file_id } = JSON.parse(Buffer.concat(chunks).toString())
    const batch: Batch = {
      id: `batch-${state.batches.length}`,
      status: 'in_progress',
      input_file_id,
      output_file_id: null,
      error_file_id: null,
    }
    state.batches.push(batch)
    if (state.loseNextBegin) {
      state.loseNextBegin = false
      return response.destroy()
    }
    return json(response, 200, batch)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const state: BatchServer = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    batches: [],
    uploads: [],
    failing: new Map(),
    prompt: true,
    loseNextBegin: false,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}
