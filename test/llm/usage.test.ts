// What was asked, how many tokens it was, and what it cost; and stop strings, which all models share.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createLanguageModel } from '../../src/llm/create.ts'
import { cost, PRICES_DATE, priceOf } from '../../src/llm/prices.ts'
import { cutAtStop, growingText } from '../../src/llm/stop.ts'
import { estimateTokens, tokenCounter } from '../../src/llm/tokens.ts'
import { request } from './requests.ts'
import { startServer } from './server.ts'

describe('usage', () => {
  it('counts what was paid, and what the cache gave', async () => {
    const cacheFile = join(await mkdtemp(join(tmpdir(), 'pretext-usage-')), 'cache.jsonl')
    const { model, usage } = await createLanguageModel({ provider: 'scripted', model: 'any' }, { cacheFile })
    const completions = []
    for (const seed of [1, 2, 1, 1]) completions.push(await model.complete(request({ seed })))
    const [one, two] = completions
    expect(usage()).toEqual({
      calls: 2,
      cachedCalls: 2,
      promptTokens: (one?.promptTokens ?? 0) + (two?.promptTokens ?? 0),
      completionTokens: (one?.completionTokens ?? 0) + (two?.completionTokens ?? 0),
      dollars: null,
      pricesDate: null,
    })
    await model.dispose()
  })

  it('has the price of the list only where the list is of that seller', async () => {
    const server = await startServer()
    const tokens = { promptTokens: 1_000_000, completionTokens: 1_000_000 }
    const fetch = async () =>
      Response.json({
        choices: [{ message: { content: 'Fine.' }, finish_reason: 'stop' }],
        usage: { prompt_tokens: tokens.promptTokens, completion_tokens: tokens.completionTokens },
      })
    const paid = async (config: object) => {
      const { model, usage } = await createLanguageModel(
        { provider: 'openai', model: 'gpt-4o-mini', ...config },
        { env: { OPENAI_API_KEY: 'k' }, fetch },
      )
      await model.complete(request())
      const { dollars, pricesDate } = usage()
      return { dollars, pricesDate }
    }
    expect(await paid({})).toEqual({ dollars: 0.15 + 0.6, pricesDate: PRICES_DATE })
    expect(await paid({ baseUrl: server.baseUrl })).toEqual({ dollars: null, pricesDate: null })
    expect(await paid({ model: 'unheard-of' })).toEqual({ dollars: null, pricesDate: null })
    const price = { input: 1, output: 2 }
    expect(await paid({ baseUrl: server.baseUrl, price })).toEqual({ dollars: 3, pricesDate: null })
    await server.close()
  })

  it('prices snapshots like their model, and strangers not at all', () => {
    expect(priceOf('gpt-4o-mini-2024-07-18')).toEqual(priceOf('gpt-4o-mini'))
    for (const name of ['gpt-4o-mini-tts', 'toString', '', 'SmolLM2']) expect(priceOf(name)).toBeNull()
    const tokens = { promptTokens: 2_000_000, completionTokens: 500_000 }
    expect(cost('gpt-4o', tokens)).toBeCloseTo(2 * 2.5 + 0.5 * 10, 12)
    expect(cost('SmolLM2', tokens)).toBeNull()
    expect(cost('SmolLM2', tokens, { input: 3, output: 0 })).toBe(6)
    expect(PRICES_DATE).toMatch(/^\d{4}-\d{2}-\d{2}$/)
  })

  it('estimates tokens, also of text that spells special tokens', async () => {
    const count = await tokenCounter()
    expect(count('Hello world')).toBe(2)
    expect(count('<|endoftext|>')).toBeGreaterThan(3)
    expect(await estimateTokens({ prompt: 'Hello world' })).toBe(2)
    const content = 'Hello world'
    expect(await estimateTokens({ messages: [{ role: 'user', content }] })).toBe(6)
  })
})

describe('createLanguageModel', () => {
  it('refuses a provider that there is not', async () => {
    await expect(createLanguageModel({ provider: 'other' as 'openai', model: 'm' })).rejects.toMatchObject({
      code: 'config',
      message: 'expected llm.provider to be llama, openai, huggingface or scripted, got other',
    })
  })

  it('takes as many at once as configured', async () => {
    const opened = await createLanguageModel({ provider: 'scripted', model: 'm', concurrency: 3 })
    expect(opened.model.concurrency).toBe(3)
    const chat = await createLanguageModel({ provider: 'scripted', model: 'm', api: 'chat' })
    expect(chat.model.input).toBe('chat')
  })
})

describe('stop strings', () => {
  it('are found however the text arrives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n', '日'), maxLength: 5 }), { maxLength: 20 }),
        fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n', '日'), maxLength: 4 }), { maxLength: 3 }),
        (pieces, stop) => {
          const growing = growingText(stop)
          const stopped = pieces.some((piece) => growing.add(piece))
          const whole = cutAtStop(pieces.join(''), stop)
          // A later piece could bring an earlier-beginning, longer stop string: what was cut stays cut.
          expect(stopped).toBe(whole.stopped)
          expect(growing.text.startsWith(whole.text)).toBe(true)
          if (!stopped) expect(growing.text).toBe(pieces.join(''))
          for (const string of stop) if (string !== '') expect(growing.text).not.toContain(string)
        },
      ),
      { numRuns: 500 },
    )
  })
})
