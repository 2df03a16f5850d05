// The sequences of a llama.cpp context as a pool: each works on one request at a time and keeps what it evaluated, so that
// a prompt that begins like an earlier one (the same examples, the same instructions) is evaluated from there on only.
import type { LlamaContext, LlamaContextSequence, LlamaModel, Token } from 'node-llama-cpp'

export interface Sequence {
  readonly model: LlamaModel
  /** Keeps what it has in common with `tokens` and returns the rest, the last token at least. */
  reuse(tokens: readonly Token[]): Promise<Token[]>
  evaluate: LlamaContextSequence['evaluate']
}

export interface SequencePool {
  /** Waits for a free sequence, in the order of asking. The signal ends the waiting. */
  use<T>(
    tokens: readonly Token[],
    signal: AbortSignal | undefined,
    work: (sequence: Sequence) => Promise<T>,
  ): Promise<T>
  /** Refuses whoever waits and returns when the last one working is done. */
  close(): Promise<void>
}

interface Waiting {
  readonly tokens: Token[]
  readonly start: (sequence: LlamaContextSequence) => void
  readonly refuse: (reason: Error) => void
}

export function sequencePool(context: LlamaContext, size: number): SequencePool {
  const free = Array.from({ length: size }, () => context.getSequence())
  const waiting: Waiting[] = []
  const working = new Set<Promise<unknown>>()
  let closed = false
  const closedError = () => new Error('the language model was disposed')

  /** Of the free sequences, the one that shares the longest beginning with `tokens`. */
  function take(tokens: Token[]): LlamaContextSequence {
    const common = free.map((sequence) => sequence.compareContextTokens(tokens).firstDifferentIndex)
    const best = common.indexOf(Math.max(...common))
    return free.splice(best, 1)[0] as LlamaContextSequence
  }

  function turn(tokens: Token[], signal: AbortSignal | undefined): Promise<LlamaContextSequence> {
    if (free.length > 0) return Promise.resolve(take(tokens))
    return new Promise((resolve, reject) => {
      const stop = () => {
        waiting.splice(waiting.indexOf(entry), 1)
        reject(signal?.reason)
      }
      const entry: Waiting = {
        tokens,
        start(sequence) {
          signal?.removeEventListener('abort', stop)
          resolve(sequence)
        },
        refuse: reject,
      }
      waiting.push(entry)
      signal?.addEventListener('abort', stop, { once: true })
    })
  }

  /** Handed over at once: nobody who comes later can be faster than who waits. */
  function giveBack(sequence: LlamaContextSequence): void {
    free.push(sequence)
    const next = waiting.shift()
    next?.start(take(next.tokens))
  }

  return {
    async use(tokens, signal, work) {
      if (closed) throw closedError()
      signal?.throwIfAborted()
      let sequence = await turn([...tokens], signal)
      const done = work(asSequence(sequence))
      working.add(done)
      try {
        return await done
      } catch (error) {
        // What it holds is unknown after a failure: the next request gets a fresh one.
        await sequence.dispose().catch(() => {})
        if (!closed) sequence = context.getSequence()
        throw error
      } finally {
        working.delete(done)
        giveBack(sequence)
      }
    },
    async close() {
      closed = true
      for (const { refuse } of waiting.splice(0)) refuse(closedError())
      await Promise.allSettled(working)
    },
  }
}

function asSequence(sequence: LlamaContextSequence): Sequence {
  return {
    model: sequence.model,
    async reuse(tokens) {
      // Without shifting: tokens that moved would be evaluated at other positions than in a fresh sequence.
      await sequence.adaptStateToTokens(tokens.slice(0, -1), false)
      return tokens.slice(sequence.nextTokenIndex)
    },
    evaluate: (tokens, options) => sequence.evaluate(tokens, options),
  }
}
