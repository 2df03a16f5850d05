// How many requests at once: against servers of known capacity, in simulated time.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { adaptive } from '../../src/llm/adaptive.ts'
import { completeAll } from '../../src/llm/complete-all.ts'
import { ProviderFailure } from '../../src/llm/failure.ts'
import type { Completion, LanguageModel } from '../../src/llm/model.ts'
import { retrying } from '../../src/llm/retry.ts'
import { request } from './requests.ts'

const COMPLETION: Completion = {
  text: 'a',
  finish: 'stop',
  promptTokens: 60,
  completionTokens: 40,
  cached: false,
}
const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** Answers up to `capacity` requests in a second each, and all others as slowly as they come. */
function server(capacity: number, refusesAbove = Number.POSITIVE_INFINITY) {
  const seen = { most: 0, refused: 0 }
  let at = 0
  const model: LanguageModel = {
    id: 'test',
    input: 'completion',
    concurrency: 8,
    async complete() {
      at++
      seen.most = Math.max(seen.most, at)
      try {
        if (at > refusesAbove) {
          seen.refused++
          throw new ProviderFailure('answered 429', { status: 429, retry: 'patiently' })
        }
        await wait(1000 * Math.max(1, at / capacity))
        return COMPLETION
      } finally {
        at--
      }
    },
    async dispose() {},
  }
  return { model, seen }
}

async function secondsFor(model: LanguageModel, requests: number): Promise<number> {
  const start = Date.now()
  let done = false
  const all = (async () => {
    let count = 0
    const asked = Array.from({ length: requests }, (_, seed) => request({ seed }))
    for await (const _ of completeAll(model, asked)) count++
    expect(count).toBe(requests)
    done = true
  })()
  while (!done) await vi.advanceTimersByTimeAsync(50)
  await all
  return (Date.now() - start) / 1000
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

describe('adaptive concurrency', () => {
  it.each([4, 20, 64])('finds what a server of %d at once can do', async (capacity) => {
    const { model, seen } = server(capacity)
    const own = adaptive(model)
    const requests = 60 * capacity
    const seconds = await secondsFor(own, requests)
    // At its best it takes a minute.
    expect(seconds).toBeLessThan(80)
    expect(own.limit()).toBeGreaterThanOrEqual(Math.min(8, capacity))
    expect(seen.most).toBeLessThanOrEqual(4 * Math.max(8, capacity))
  })

  it('pays for nothing that waits when there is enough', async () => {
    const { model } = server(20)
    let sent = 0
    const counted: LanguageModel = {
      ...model,
      complete(one) {
        sent++
        return model.complete(one)
      },
    }
    const own = adaptive(counted)
    const enough = (async () => {
      let count = 0
      const endless = Array.from({ length: 10_000 }, (_, seed) => request({ seed }))
      for await (const _ of completeAll(own, endless)) if (++count === 200) break
    })()
    await vi.advanceTimersByTimeAsync(120_000)
    await enough
    expect(sent).toBeLessThanOrEqual(200 + own.limit())
  })

  it('fills a server that takes a thousand at once', async () => {
    const { model, seen } = server(1_000)
    await secondsFor(adaptive(model), 8_000)
    expect(seen.most).toBeGreaterThanOrEqual(1_000)
  })

  it('goes on looking in the next call, whatever the end of the last one left unmeasured', async () => {
    const own = adaptive(server(4000).model)
    await secondsFor(own, 1600)
    expect(own.limit()).toBe(512)
    await secondsFor(own, 1600)
    expect(own.limit()).toBe(1024)
  })

  it('halves where the server refuses, and everything is answered', async () => {
    const { model, seen } = server(200, 24)
    const own = adaptive(model)
    await secondsFor(retrying(own, { random: () => 0.5 }), 600)
    expect(own.limit()).toBeLessThanOrEqual(32)
    expect(own.limit()).toBeGreaterThanOrEqual(8)
    expect(seen.refused).toBeGreaterThan(0)
    expect(seen.refused).toBeLessThan(60)
  })

  it('halves where no answer comes in time', async () => {
    let slow = true
    const model: LanguageModel = {
      ...server(100).model,
      async complete() {
        await wait(100)
        if (slow) throw new ProviderFailure('did not answer', { retry: 'patiently', timedOut: true })
        return COMPLETION
      },
    }
    const own = adaptive(model)
    const failing = Promise.allSettled(
      Array.from({ length: 8 }, (_, seed) => own.complete(request({ seed }))),
    )
    await vi.advanceTimersByTimeAsync(200)
    expect((await failing).every(({ status }) => status === 'rejected')).toBe(true)
    // Eight that failed together are one piece of news.
    expect(own.limit()).toBe(4)
    slow = false
    await secondsFor(own, 20)
  })

  it('goes back where there is no connection, and not below where it began', async () => {
    const { model } = server(1_000)
    let unreached = false
    const own = adaptive({
      ...model,
      async complete(one) {
        if (unreached) throw new ProviderFailure('no socket', { retry: 'patiently', unreached: true })
        return model.complete(one)
      },
    })
    await secondsFor(own, 1_000)
    const before = own.limit()
    expect(before).toBeGreaterThanOrEqual(64)
    unreached = true
    await Promise.allSettled(Array.from({ length: 8 }, (_, seed) => own.complete(request({ seed }))))
    expect(own.limit()).toBe(before / 2)
    for (let i = 0; i < 20; i++) await Promise.allSettled([own.complete(request({ seed: i }))])
    expect(own.limit()).toBe(8)
  })

  it('learns nothing from a few requests, nor from errors of the request', async () => {
    const { model } = server(100)
    const own = adaptive(model)
    await secondsFor(own, 7)
    expect(own.limit()).toBe(8)
    const failing = adaptive({
      ...model,
      complete: () => Promise.reject(new ProviderFailure('answered 400', { status: 400, retry: 'never' })),
    })
    await expect(failing.complete(request({}))).rejects.toThrow('answered 400')
    expect(failing.limit()).toBe(8)
  })

  it('lets a signal end the waiting, and gives the place to the next', async () => {
    const own = adaptive(server(10).model, { first: 1 })
    const stop = new AbortController()
    const first = own.complete(request({ seed: 1 }))
    const second = own.complete(request({ seed: 2 }), { signal: stop.signal })
    const third = own.complete(request({ seed: 3 }))
    stop.abort(new Error('enough'))
    await expect(second).rejects.toThrow('enough')
    await vi.advanceTimersByTimeAsync(2500)
    expect([(await first).text, (await third).text]).toEqual(['a', 'a'])
  })
})
