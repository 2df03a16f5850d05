// A local server that speaks the OpenAI API (chat and completions), with the scripted model behind it. It counts what it is
// asked and can be told to misbehave.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createScriptedModel, type ScriptedOptions } from '../../src/llm/scripted.ts'

export const KEY = 'sk-test-4f9a7c31e5d2486b'

export type Fault = (request: IncomingMessage, response: ServerResponse) => void

export interface SeenRequest {
  readonly path: string
  readonly authorization: string | undefined
  readonly body: Record<string, unknown>
}

export interface TestServer {
  readonly baseUrl: string
  readonly seen: SeenRequest[]
  /** Met by the next requests, one each. */
  readonly faults: Fault[]
  /** Met by every request while it is set. */
  always: Fault | undefined
  /** How long an answer takes. */
  delayMs: number
  close(): Promise<void>
}

export async function startServer(options: ScriptedOptions = {}): Promise<TestServer> {
  const model = createScriptedModel(options)
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const body = JSON.parse(text) as Record<string, unknown>
    state.seen.push({ path: request.url ?? '', authorization: request.headers.authorization, body })
    const fault = state.always ?? state.faults.shift()
    if (fault !== undefined) return fault(request, response)
    if (state.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, state.delayMs))
    const prompt = body.prompt as string | undefined
    const completion = await model.complete({
      input: prompt === undefined ? { messages: body.messages as [] } : { prompt },
      sampling: { temperature: Number(body.temperature ?? 1), topP: Number(body.top_p ?? 1) },
      maxTokens: Number(body.max_tokens ?? body.max_completion_tokens ?? 16),
      stop: (body.stop as string[] | undefined) ?? [],
      seed: Number(body.seed ?? 0),
    })
    const choice = { index: 0, finish_reason: completion.finish }
    const usage = { prompt_tokens: completion.promptTokens, completion_tokens: completion.completionTokens }
    json(response, 200, {
      choices: [
        prompt === undefined
          ? { ...choice, message: { role: 'assistant', content: completion.text } }
          : { ...choice, text: completion.text },
      ],
      usage,
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const state: TestServer = {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    seen: [],
    faults: [],
    always: undefined,
    delayMs: 0,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return state
}

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** An error as OpenAI words it. */
export function answers(
  status: number,
  message = 'no',
  headers: Record<string, string> = {},
  code?: string,
): Fault {
  return (_request, response) => json(response, status, { error: { message, code: code ?? null } }, headers)
}

export const resets: Fault = (request) => request.socket.destroy()
export const hangs: Fault = () => {}
export const stallsInTheBody: Fault = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"choices":')
}
export const garbage: Fault = (_request, response) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"choices": [{"te')
export const html: Fault = (_request, response) =>
  response.writeHead(200, { 'content-type': 'text/html' }).end('<html>welcome</html>')
export const sends =
  (body: unknown): Fault =>
  (_request, response) =>
    json(response, 200, body)
