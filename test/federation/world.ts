// A world with a clock and a network of its own, for simulations: time passes only when everybody waits, messages take
// random times, get lost, arrive twice, and everything is drawn from one seed. The same seed is the same history.
import type { Clock } from '../../src/federation/clock.ts'
import type { Random } from '../../src/random.ts'

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export interface Faults {
  /** Shares of requests and answers that get lost, and of requests that arrive twice. */
  readonly lost: number
  readonly twice: number
  /** Longest way of a message, in milliseconds. */
  readonly latency: number
}

export class World implements Clock {
  #now = 1_000_000
  #order = 0
  #events: Event[] = []
  #busy = 0

  now(): number {
    return Math.floor(this.#now)
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const stop = () => reject(signal?.reason)
      signal?.addEventListener('abort', stop, { once: true })
      this.at(ms, () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
    })
  }

  /** Does something after so many milliseconds. */
  at(ms: number, run: () => void): void {
    this.#events.push({ at: this.#now + ms, order: this.#order++, run })
  }

  /**
   * A fetch over this network to whoever `target` is when the message arrives. Each client draws from a generator of its
   * own, so that what happens to it does not hang on who else was quick.
   */
  network(
    target: () => ((request: Request) => Promise<Response>) | undefined,
    faults: Faults,
    random: Random,
  ): typeof fetch {
    const { lost, twice, latency } = faults
    return async (input, init) => {
      const signal = init?.signal
      const request = new Request(input, { ...init, signal: null })
      const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer())
      const again = () =>
        new Request(request.url, {
          method: request.method,
          headers: request.headers,
          ...(body === undefined ? {} : { body }),
        })
      const deliver = async (): Promise<Response> => {
        const server = target()
        if (server === undefined) throw new TypeError('fetch failed')
        this.#busy++
        try {
          const answer = await server(again())
          // It died while it was answering: nobody hears of it.
          if (target() !== server) throw new TypeError('fetch failed')
          return answer
        } finally {
          this.#busy--
        }
      }
      await this.sleep(random.next() * latency)
      if (random.next() < twice) {
        this.at(random.next() * 20 * latency, () => void deliver().catch(() => {}))
      }
      if (random.next() < lost) await this.#timeout(signal)
      const answer = await deliver()
      await this.sleep(random.next() * latency)
      if (random.next() < lost) await this.#timeout(signal)
      signal?.throwIfAborted()
      return answer
    }
  }

  async #timeout(signal: AbortSignal | null | undefined): Promise<never> {
    await this.sleep(5000, signal ?? undefined)
    throw new TypeError('fetch failed')
  }

  /** Lets time pass until `done`, or until nothing is left to happen. */
  async run(done: () => boolean, longest = 10_000_000): Promise<void> {
    const end = this.#now + longest
    for (;;) {
      await this.#settle()
      if (done()) return
      if (this.#events.length === 0)
        throw new Error('nothing is left to happen, and the history has not ended')
      let first = 0
      this.#events.forEach((event, i) => {
        const best = this.#events[first] as Event
        if (event.at < best.at || (event.at === best.at && event.order < best.order)) first = i
      })
      const [event] = this.#events.splice(first, 1) as [Event]
      this.#now = Math.max(this.#now, event.at)
      if (this.#now > end) throw new Error('the history does not end')
      event.run()
    }
  }

  /** Until everybody waits for time to pass: the database in memory answers within a few turns. */
  async #settle(): Promise<void> {
    let quiet = 0
    while (quiet < 3) {
      await new Promise((resolve) => setImmediate(resolve))
      quiet = this.#busy === 0 ? quiet + 1 : 0
    }
  }
}
