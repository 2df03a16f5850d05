// Requests and tokens per minute, by a clock that only waiting moves.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { limited } from '../../src/llm/limit.ts'
import type { LanguageModel } from '../../src/llm/model.ts'
import { createScriptedModel } from '../../src/llm/scripted.ts'
import { request } from './requests.ts'

function setUp() {
  let now = 0
  const started: number[] = []
  const scripted = createScriptedModel()
  const model: LanguageModel = {
    ...scripted,
    complete: (...args) => {
      started.push(now)
      return scripted.complete(...args)
    },
  }
  const time = {
    now: () => now,
    sleep: async (ms: number, signal?: AbortSignal) => {
      signal?.throwIfAborted()
      // What may start now starts before the clock moves.
      await new Promise((resolve) => setImmediate(resolve))
      now += ms
    },
  }
  return { model, started, time }
}

const most = (started: readonly number[]) =>
  Math.max(...started.map((at) => started.filter((other) => other >= at && other < at + 60_000).length))

describe('a limit', () => {
  it('never starts more requests than allowed in any 60 seconds, in the order asked', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        async (rate, count) => {
          const { model, started, time } = setUp()
          const slow = limited(model, { requestsPerMinute: rate, concurrency: 3, ...time })
          await Promise.all(Array.from({ length: count }, (_, seed) => slow.complete(request({ seed }))))
          expect(most(started)).toBeLessThanOrEqual(rate)
          // And no slower than that.
          expect(started.at(-1)).toBe(Math.floor((count - 1) / rate) * 60_000)
        },
      ),
      { numRuns: 30 },
    )
  })

  it('counts the tokens that a request may cost', async () => {
    const { model, started, time } = setUp()
    // 'one two three' is 3 tokens: 103 each, so two fit into 250 and three do not.
    const slow = limited(model, { tokensPerMinute: 250, ...time })
    const input = { prompt: 'one two three' }
    for (let seed = 0; seed < 5; seed++) await slow.complete(request({ input, maxTokens: 100, seed }))
    expect(started).toEqual([0, 0, 60_000, 60_000, 120_000])
  })

  it('lets a request that is larger than the limit go alone', async () => {
    const { model, started, time } = setUp()
    const slow = limited(model, { tokensPerMinute: 50, ...time })
    for (let seed = 0; seed < 2; seed++) await slow.complete(request({ maxTokens: 100, seed }))
    expect(started).toEqual([0, 60_000])
  })

  it('works on so many at once and no more', async () => {
    let running = 0
    let peak = 0
    const scripted = createScriptedModel({
      answer: async () => {
        peak = Math.max(peak, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
        return 'done'
      },
    })
    const model = limited(scripted, { concurrency: 3 })
    expect(model.concurrency).toBe(3)
    await Promise.all(Array.from({ length: 20 }, (_, seed) => model.complete(request({ seed }))))
    expect(peak).toBe(3)
  })

  it('stops waiting when told to', async () => {
    const { model, started, time } = setUp()
    const controller = new AbortController()
    const stopping = {
      ...time,
      sleep: async () => {
        controller.abort(new Error('told to stop'))
        controller.signal.throwIfAborted()
      },
    }
    const slow = limited(model, { requestsPerMinute: 1, ...stopping })
    await slow.complete(request())
    await expect(slow.complete(request({ seed: 2 }), { signal: controller.signal })).rejects.toThrow(
      'told to stop',
    )
    expect(started).toHaveLength(1)
  })
})
