// What is sent to a provider, field by field.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LanguageModelConfig } from '../../src/llm/create.ts'
import { createLanguageModel } from '../../src/llm/create.ts'
import { createHuggingFaceModel } from '../../src/llm/huggingface.ts'
import { createOpenAiCompatibleModel, OPENAI_URL } from '../../src/llm/openai-compatible.ts'
import { request } from './requests.ts'
import { KEY, startServer, type TestServer } from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

const sampling = { temperature: 0.7, topP: 0.9, minP: 0.01, topK: 50 }
const stop = ['1', '2', '3', '4', '5', '']

async function sent(
  config: Omit<LanguageModelConfig, 'model'>,
  asked = request({ sampling, stop, seed: 42 }),
) {
  const { model } = await createLanguageModel(
    { model: 'org/small', baseUrl: server.baseUrl, ...config },
    { env: { OPENAI_API_KEY: KEY, HF_TOKEN: KEY } },
  )
  await model.complete(asked)
  return server.seen.at(-1)
}

const messages = [
  { role: 'system' as const, content: 'Be brief.' },
  { role: 'user' as const, content: 'Hello.' },
]

describe('openai-compatible', () => {
  it('sends a prompt as one user message, with the settings of the request', async () => {
    const { path, authorization, body } = (await sent({ provider: 'openai' })) ?? {}
    expect(path).toBe('/v1/chat/completions')
    expect(authorization).toBe(`Bearer ${KEY}`)
    expect(body).toEqual({
      model: 'org/small',
      messages: [{ role: 'user', content: (request().input as { prompt: string }).prompt }],
      temperature: 0.7,
      top_p: 0.9,
      min_p: 0.01,
      top_k: 50,
      max_tokens: 24,
      stop: ['1', '2', '3', '4'],
      seed: 42,
    })
  })

  it('sends a conversation to the completions API as text', async () => {
    const seen = await sent(
      { provider: 'openai', api: 'completions' },
      request({ input: { messages }, stop: [] }),
    )
    expect(seen?.path).toBe('/v1/completions')
    expect(seen?.body).toEqual({
      model: 'org/small',
      prompt: 'Be brief.\n\nHello.',
      temperature: 1,
      top_p: 0.95,
      max_tokens: 24,
      seed: 1,
    })
  })

  it('sends extraBody and maxTokensField as configured', async () => {
    const extraBody = { reasoning_effort: 'minimal', top_p: 0.5 }
    const seen = await sent({ provider: 'openai', maxTokensField: 'max_completion_tokens', extraBody })
    expect(seen?.body).toMatchObject({ reasoning_effort: 'minimal', top_p: 0.5, max_completion_tokens: 24 })
    expect(seen?.body).not.toHaveProperty('max_tokens')
  })

  it('sends OpenAI itself only what it takes', async () => {
    let url = ''
    let body: Record<string, unknown> = {}
    const model = await createOpenAiCompatibleModel({
      model: 'gpt-4o-mini',
      organisation: 'org-1',
      env: { OPENAI_API_KEY: KEY },
      fetch: async (input, init) => {
        url = String(input)
        body = JSON.parse(String(init?.body))
        expect(new Headers(init?.headers).get('openai-organization')).toBe('org-1')
        return Response.json({ choices: [{ message: { content: 'Fine.' }, finish_reason: 'stop' }] })
      },
    })
    await model.complete(request({ sampling }))
    expect(url).toBe(`${OPENAI_URL}/chat/completions`)
    expect(body).toMatchObject({ max_completion_tokens: 24 })
    expect(Object.keys(body)).not.toEqual(expect.arrayContaining(['min_p']))
    expect(Object.keys(body)).not.toEqual(expect.arrayContaining(['top_k']))
  })

  it('has another name for another endpoint, API or extra setting', async () => {
    const name = async (options: object) =>
      (await createOpenAiCompatibleModel({ model: 'm', env: { OPENAI_API_KEY: KEY }, ...options })).id
    const names = await Promise.all([
      name({}),
      name({ baseUrl: 'http://one/v1' }),
      name({ baseUrl: 'http://two/v1' }),
      name({ api: 'completions' }),
      name({ extraBody: { a: 1 } }),
      name({ extraBody: { a: 2 } }),
    ])
    expect(new Set(names).size).toBe(names.length)
    expect(names.slice(0, 4)).toEqual([
      'openai:m',
      'openai:m@http://one/v1',
      'openai:m@http://two/v1',
      'openai:m (completions)',
    ])
  })
})

describe('hugging face', () => {
  it('sends the settings of the request to an endpoint', async () => {
    const { path, authorization, body } = (await sent({ provider: 'huggingface' })) ?? {}
    expect(path).toBe('/v1/chat/completions')
    expect(authorization).toBe(`Bearer ${KEY}`)
    expect(body).toMatchObject({
      temperature: 0.7,
      top_p: 0.9,
      min_p: 0.01,
      top_k: 50,
      max_tokens: 24,
      seed: 42,
    })
    expect(body?.stop).toEqual(['1', '2', '3', '4'])
  })

  it('takes a provider after the name of the model', async () => {
    const urls: string[] = []
    const model = await createHuggingFaceModel({
      model: 'org/small:auto',
      env: { HF_TOKEN: 'hf_0123456789' },
      fetch: async (input) => {
        urls.push(String(input))
        return Response.json({ choices: [{ message: { content: 'Fine.' }, finish_reason: 'stop' }] })
      },
    })
    expect((await model.complete(request())).text).toBe('Fine.')
    expect(model.id).toBe('huggingface:org/small:auto')
    expect(urls).toHaveLength(1)
    expect(urls[0]).toMatch(/^https:\/\/.*\/v1\/chat\/completions$/)
  })
})

it('refuses a key that no header can hold at once, and does not repeat it', async () => {
  const made = createOpenAiCompatibleModel({
    model: 'small',
    baseUrl: server.baseUrl,
    env: { OPENAI_API_KEY: 'sk-“secret”' },
  })
  await expect(made).rejects.toMatchObject({
    code: 'config',
    message: 'expected the environment variable OPENAI_API_KEY to be what an HTTP header can hold, it is not',
  })
})
