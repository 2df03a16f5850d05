// What goes wrong between here and a provider: what is tried again, what is not, what the user reads, and that no key is in it.
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import type { PretextEvent } from '../../src/events.ts'
import { createLanguageModel, type LanguageModelConfig } from '../../src/llm/create.ts'
import { request } from './requests.ts'
import {
  answers,
  type Fault,
  garbage,
  hangs,
  html,
  KEY,
  resets,
  sends,
  stallsInTheBody,
  startServer,
  type TestServer,
} from './server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())
afterEach(() => {
  server.faults.length = 0
  server.seen.length = 0
  server.always = undefined
})

/** A clock that only waiting moves. */
function fakeTime() {
  const waits: number[] = []
  let now = Date.parse('2026-01-01T00:00:00Z')
  return {
    waits,
    now: () => now,
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted()
      waits.push(ms)
      now += ms
    },
  }
}

async function open(
  provider: 'openai' | 'huggingface',
  changes: Partial<LanguageModelConfig> = {},
  fetch = globalThis.fetch,
) {
  const time = fakeTime()
  const events: PretextEvent[] = []
  const { model } = await createLanguageModel(
    { provider, model: 'small', baseUrl: server.baseUrl, ...changes },
    { env: { OPENAI_API_KEY: KEY, HF_TOKEN: KEY }, time, fetch, onEvent: (event) => events.push(event) },
  )
  return { model, time, events }
}

async function failure(asked: Promise<unknown>): Promise<PretextError> {
  const error = await asked.then(
    () => new Error('expected a failure, got an answer'),
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(PretextError)
  // Not in the message, the hint, the cause, nor anything that hangs on them.
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(KEY)
  return error as PretextError
}

describe.each(['openai', 'huggingface'] as const)('%s', (provider) => {
  it.each<[string, Fault[]]>([
    ['500s', [answers(500), answers(503), answers(502)]],
    ['a 408 and a 409', [answers(408), answers(409)]],
    ['connection resets', [resets, resets]],
    ['garbage instead of JSON', [garbage, html]],
    ['empty choices', [sends({ choices: [] }), sends({})]],
  ])('tries again after %s, and then has the answer', async (_name, faults) => {
    const { model, events } = await open(provider)
    server.faults.push(...faults)
    expect((await model.complete(request())).text).not.toBe('')
    expect(server.seen).toHaveLength(faults.length + 1)
    expect(events[0]).toMatchObject({ type: 'warning' })
  })

  it.each<[string, Fault]>([
    ['no answer', hangs],
    ['an answer that stops half-way', stallsInTheBody],
  ])('tries again after %s within timeoutSeconds', async (_name, fault) => {
    // The limit is for the fault: who answers has all the time that it needs.
    const limited: typeof fetch = (url, init) =>
      fetch(url, server.faults.length > 0 ? init : { ...init, signal: null })
    const { model, events } = await open(provider, { timeoutSeconds: 0.2 }, limited)
    server.faults.push(fault)
    expect((await model.complete(request())).text).not.toBe('')
    expect(server.seen).toHaveLength(2)
    expect(events).toEqual([
      {
        type: 'warning',
        message: `${model.id} did not answer within 0.2 seconds; trying again for up to 10 minutes`,
      },
    ])
  })

  it('waits as long as Retry-After says, in seconds or as a date', async () => {
    const { model, time } = await open(provider)
    const date = new Date(time.now() + 7000 + 42_000).toUTCString()
    server.faults.push(
      answers(429, 'slow down', { 'retry-after': '7' }),
      answers(429, 'slow down', { 'retry-after': date }),
      answers(429, 'slow down', { 'x-ratelimit-reset-requests': '1m2.5s' }),
    )
    await model.complete(request())
    expect(time.waits).toEqual([7000, 42_000, 62_500])
  })

  it('gives up after ten minutes of 429', async () => {
    const { model, time, events } = await open(provider)
    server.always = answers(429, `Rate limit reached for ${KEY}`)
    const error = await failure(model.complete(request()))
    expect(error.code).toBe('provider')
    expect(error.message).toMatch(
      new RegExp(
        `^${model.id} answered 429 for (9|10) minutes \\(\\d+ attempts\\): Rate limit reached for \\[key\\]$`,
      ),
    )
    expect(error.hint).toContain('--resume')
    const waited = time.waits.reduce((sum, ms) => sum + ms, 0)
    expect(waited).toBeLessThanOrEqual(600_000)
    expect(waited).toBeGreaterThan(600_000 - 60_000)
    // Full jitter: at most doubling, never above a minute, and not all alike.
    time.waits.forEach((ms, i) => {
      expect(ms).toBeLessThan(Math.min(60_000, 1000 * 2 ** i))
    })
    expect(new Set(time.waits).size).toBe(time.waits.length)
    // Said once, not once per attempt.
    expect(events).toHaveLength(1)
  })

  it('does not wait for what the provider puts off beyond its patience', async () => {
    const { model, time } = await open(provider, { patienceMinutes: 2 })
    server.always = answers(429, 'come back later', { 'retry-after': '3600' })
    const error = await failure(model.complete(request()))
    expect(error.message).toBe(
      `${model.id} answered 429 for 0 seconds (1 attempt), and asks to wait 60 minutes more: come back later`,
    )
    expect(time.waits).toEqual([])
  })

  it.each<[number, string, string]>([
    [400, 'provider', 'llm'],
    [401, 'dependency', provider === 'openai' ? 'OPENAI_API_KEY' : 'HF_TOKEN'],
    [403, 'dependency', provider === 'openai' ? 'OPENAI_API_KEY' : 'HF_TOKEN'],
    [404, 'dependency', 'check llm.model and llm.baseUrl'],
    [422, 'provider', 'llm'],
  ])('does not try again after %d', async (status, code, hint) => {
    const { model } = await open(provider)
    server.always = answers(
      status,
      `Incorrect API key provided: ${KEY.slice(0, 8)}***${KEY.slice(-4)}\nBearer ${KEY}`,
    )
    const error = await failure(model.complete(request()))
    expect(error.message).toBe(
      `${model.id} answered ${status}: Incorrect API key provided: [key] Bearer [key]`,
    )
    expect(error.code).toBe(code)
    expect(error.hint).toContain(hint)
    expect(server.seen).toHaveLength(1)
  })

  it('does not try again when the account is empty', async () => {
    const { model } = await open(provider)
    server.always = answers(429, 'You exceeded your current quota', {}, 'insufficient_quota')
    const error = await failure(model.complete(request()))
    expect(error.message).toBe(`${model.id} answered 429: You exceeded your current quota`)
    expect(error.hint).toContain('credit')
    expect(server.seen).toHaveLength(1)
  })

  it('gives up soon on an address that answers something else', async () => {
    const { model } = await open(provider)
    server.always = html
    const error = await failure(model.complete(request()))
    expect(error.message).toBe(`${model.id} sent an answer that is not JSON, 4 times`)
    expect(error.hint).toContain('llm.baseUrl')
  })

  it('says what it could not reach', async () => {
    const { model } = await open(provider, { baseUrl: 'http://127.0.0.1:9/v1', patienceMinutes: 1 })
    const error = await failure(model.complete(request()))
    expect(error.code).toBe('provider')
    expect(error.message).toMatch(/could not be reached \(.+\), for \d+ seconds \(\d+ attempts\)$/)
  })

  it('stops waiting when told to', async () => {
    const { model, time } = await open(provider)
    const controller = new AbortController()
    server.always = (_request, response) => {
      controller.abort(new Error('stopped by the user'))
      answers(500)(_request, response)
    }
    await expect(model.complete(request(), { signal: controller.signal })).rejects.toThrow(
      'stopped by the user',
    )
    expect(time.waits).toEqual([])
  })

  it('finishes what was already sent when told to stop', async () => {
    const { model } = await open(provider)
    const controller = new AbortController()
    server.faults.push((_request, response) => {
      controller.abort()
      sends({ choices: [{ message: { content: 'paid for' }, finish_reason: 'stop' }] })(_request, response)
    })
    expect((await model.complete(request(), { signal: controller.signal })).text).toBe('paid for')
  })

  it('takes a refusal as text, and a filtered answer as filtered', async () => {
    const { model } = await open(provider)
    const refusal = { content: null, refusal: 'I cannot help with that.' }
    server.faults.push(
      sends({ choices: [{ message: refusal, finish_reason: 'stop' }] }),
      sends({ choices: [{ message: { content: null }, finish_reason: 'content_filter' }] }),
    )
    expect(await model.complete(request({ stop: [] }))).toMatchObject({
      text: 'I cannot help with that.',
      finish: 'stop',
    })
    expect(await model.complete(request())).toMatchObject({ text: '', finish: 'filtered' })
  })

  it('counts tokens itself where the provider does not', async () => {
    const { model } = await open(provider)
    server.faults.push(
      sends({ choices: [{ message: { content: 'One two three four five.' }, finish_reason: 'stop' }] }),
    )
    const completion = await model.complete(request())
    expect(completion.completionTokens).toBe(6)
    expect(completion.promptTokens).toBeGreaterThan(30)
  })

  it('names the missing key, and needs none for an own server', async () => {
    const make = (changes: Partial<LanguageModelConfig>) =>
      createLanguageModel({ provider, model: 'small', ...changes }, { env: {} })
    await expect(make({})).rejects.toMatchObject({
      code: 'dependency',
      message: expect.stringMatching(/in the environment variable (OPENAI_API_KEY|HF_TOKEN), it is not set$/),
    })
    await expect(make({ apiKeyEnv: 'MY_KEY', baseUrl: server.baseUrl })).rejects.toMatchObject({
      message: expect.stringContaining('MY_KEY'),
    })
    const { model } = await make({ baseUrl: server.baseUrl })
    expect((await model.complete(request())).text).not.toBe('')
    expect(server.seen[0]?.authorization ?? 'none').not.toContain(KEY)
  })

  it('takes no password in the address, and does not repeat it', async () => {
    await expect(open(provider, { baseUrl: `http://me:${KEY}@127.0.0.1:9/v1/` })).rejects.toMatchObject({
      code: 'config',
      message: 'expected llm.baseUrl without a user and a password, it has them',
    })
    await expect(open(provider, { baseUrl: `not an address ${KEY}` })).rejects.toMatchObject({
      code: 'config',
      message: 'expected llm.baseUrl to be an address, got something else',
    })
  })
})

it('lets many requests wait on one signal without a word from Node', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  let asked = 0
  const answer = { choices: [{ message: { content: 'Fine.' }, finish_reason: 'stop' }] }
  const fetch = async () => (asked++ < 32 ? new Response('{}', { status: 429 }) : Response.json(answer))
  const { model } = await createLanguageModel(
    { provider: 'openai', model: 'small', baseUrl: server.baseUrl, concurrency: 32 },
    { env: {}, fetch },
  )
  const { signal } = new AbortController()
  await Promise.all(Array.from({ length: 32 }, (_, seed) => model.complete(request({ seed }), { signal })))
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', warned)
  expect(asked).toBe(64)
  expect(warnings).toEqual([])
})
