import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type EncoderThread, encoderThreads, pieces } from '../../src/embeddings/encoder-threads.ts'
import { matrix } from '../../src/embeddings/matrix.ts'

/** A thread whose answers are given by hand. */
function thread() {
  const asked: { readonly texts: readonly string[]; answer(): void; fail(error: Error): void }[] = []
  const fake: EncoderThread = {
    ask: <Answer>(question: Parameters<EncoderThread['ask']>[0]) =>
      new Promise<Answer>((resolve, reject) => {
        const texts = question.type === 'embed' ? question.texts : []
        asked.push({ texts, answer: () => resolve(matrix(texts.length, 2) as Answer), fail: reject })
      }),
    busy: () => asked.length,
    close: vi.fn(async () => {}),
  }
  return { fake, asked }
}

describe('the threads of an embedder', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('start another thread only for work that has waited, and no more than they may', async () => {
    const [first, second] = [thread(), thread()]
    const start = vi.fn(async () => second.fake)
    const pool = encoderThreads(first.fake, 2, start)
    const quick = [pool.embed(['a']), pool.embed(['b'])]
    await vi.advanceTimersByTimeAsync(200)
    first.asked[0]?.answer()
    await vi.advanceTimersByTimeAsync(0)
    first.asked[1]?.answer()
    await Promise.all(quick)
    await vi.advanceTimersByTimeAsync(1000)
    expect(start).toHaveBeenCalledTimes(0)

    const slow = ['c', 'd', 'e', 'f'].map((text) => pool.embed([text]))
    await vi.advanceTimersByTimeAsync(1000)
    expect(start).toHaveBeenCalledTimes(1)
    expect([first.asked.at(-1)?.texts, second.asked[0]?.texts]).toEqual([['c'], ['d']])
    for (const which of [first, second, first, second]) {
      which.asked.at(-1)?.answer()
      await vi.advanceTimersByTimeAsync(1000)
    }
    expect((await Promise.all(slow)).map(({ rows }) => rows)).toEqual([1, 1, 1, 1])
    expect(start).toHaveBeenCalledTimes(1)
  })

  it('start one at a time, however long that takes and however many come to wait', async () => {
    const first = thread()
    const others = Array.from({ length: 3 }, thread)
    const ready: (() => void)[] = []
    const start = vi.fn(async () => {
      const { fake } = others[ready.length] as (typeof others)[number]
      await new Promise<void>((resolve) => ready.push(resolve))
      return fake
    })
    const pool = encoderThreads(first.fake, 3, start)
    pool.embed(['text 0'])
    for (let second = 1; second <= 60; second++) {
      pool.embed([`text ${second}`])
      await vi.advanceTimersByTimeAsync(1000)
      expect(start).toHaveBeenCalledTimes(second < 20 ? 1 : 2)
      if (second === 19 || second === 40) ready.at(-1)?.()
    }
    expect(others.map(({ asked }) => asked.length)).toEqual([1, 1, 0])
  })

  it('go on without a thread that cannot be started', async () => {
    const first = thread()
    const start = vi.fn(async () => {
      throw new Error('no room on the GPU')
    })
    const pool = encoderThreads(first.fake, 8, start)
    const all = [pool.embed(['a']), pool.embed(['b'])]
    await vi.advanceTimersByTimeAsync(5000)
    expect(start).toHaveBeenCalledTimes(1)
    first.asked[0]?.answer()
    await vi.advanceTimersByTimeAsync(0)
    first.asked[1]?.answer()
    await Promise.all(all)
  })

  it('give an error to the one who asked, and stop on a signal before a thread is asked', async () => {
    const first = thread()
    const pool = encoderThreads(first.fake, 1, async () => first.fake)
    const abort = new AbortController()
    const failing = pool.embed(['a'])
    const stopped = pool.embed(['b'], abort.signal)
    const fine = pool.embed(['c'])
    abort.abort(new Error('enough'))
    await vi.advanceTimersByTimeAsync(0)
    first.asked[0]?.fail(new Error('broken'))
    await expect(failing).rejects.toThrow('broken')
    await expect(stopped).rejects.toThrow('enough')
    await vi.advanceTimersByTimeAsync(0)
    first.asked[1]?.answer()
    expect(first.asked.map(({ texts }) => texts)).toEqual([['a'], ['c']])
    expect((await fine).rows).toBe(1)
  })

  it('close all, also one that is still starting', async () => {
    const [first, second] = [thread(), thread()]
    let ready = () => {}
    const pool = encoderThreads(first.fake, 2, async () => {
      await new Promise<void>((resolve) => {
        ready = resolve
      })
      return second.fake
    })
    pool.embed(['a'])
    pool.embed(['b'])
    await vi.advanceTimersByTimeAsync(600)
    const closing = pool.close()
    ready()
    await closing
    expect(first.fake.close).toHaveBeenCalledTimes(1)
    expect(second.fake.close).toHaveBeenCalledTimes(1)
  })
})

it('pieces hold each text once, the longest first, and no more characters than they may unless one text alone has more', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 })), fc.integer({ min: 1, max: 100 }), (texts, most) => {
      const all = pieces(texts, most)
      const lengths = all.map((piece) => piece.map((i) => texts[i]?.length as number))
      expect(all.flat().sort((a, b) => a - b)).toEqual(texts.map((_, i) => i))
      expect(lengths.flat()).toEqual(texts.map(({ length }) => length).sort((a, b) => b - a))
      for (const own of lengths) {
        expect(own.length === 1 || own.reduce((a, b) => a + b, 0) <= most).toBe(true)
      }
    }),
  )
})
