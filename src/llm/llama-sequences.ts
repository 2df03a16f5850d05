// The sequences of one or more llama.cpp contexts as a pool: each works on one request at a time and keeps what it evaluated,
// so that a prompt that begins like an earlier one (the same examples, the same instructions) is evaluated from there on only.
import { setMaxListeners } from 'node:events'
import type {
  CustomBatchingPrioritizationStrategy,
  LlamaContext,
  LlamaContextSequence,
  LlamaModel,
  Token,
} from 'node-llama-cpp'
import { type LockStep, lockStep } from './lock-step.ts'

export interface Sequence {
  readonly model: LlamaModel
  /** Evaluates all of a prompt but its last token, or what is missing of it; returns that token. */
  begin(prompt: readonly Token[]): Promise<Token[]>
  /** The tokens after these, each in one step with those of all other sequences. */
  evaluate(
    tokens: Token[],
    options: Parameters<LlamaContextSequence['evaluate']>[1],
  ): AsyncGenerator<Token, void, undefined>
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

/** A sequence and its number in its context, which one that takes its place gets too. */
interface Place {
  readonly number: number
  readonly context: LlamaContext
  readonly steps: LockStep
  sequence: LlamaContextSequence
}

interface Waiting {
  readonly tokens: Token[]
  readonly start: (place: Place) => void
  readonly refuse: (reason: Error) => void
}

export function sequencePool(contexts: readonly LlamaContext[]): SequencePool {
  const free = contexts
    .flatMap((context) => {
      const steps = lockStep()
      return Array.from({ length: context.totalSequences }, (_, number): Place => {
        return { number, context, steps, sequence: context.getSequence() }
      })
    })
    .sort(byNumber)
  const waiting: Waiting[] = []
  const working = new Set<Promise<unknown>>()
  let closed = false
  const closedError = () => new Error('the language model was disposed')

  /** Of the free sequences, the one that shares the longest beginning with `tokens`, and the first one of several. */
  function take(tokens: Token[]): Place {
    const common = free.map(({ sequence }) => sequence.compareContextTokens(tokens).firstDifferentIndex)
    const best = common.indexOf(Math.max(...common))
    return free.splice(best, 1)[0] as Place
  }

  function turn(tokens: Token[], signal: AbortSignal | undefined): Promise<Place> {
    if (free.length > 0) return Promise.resolve(take(tokens))
    return new Promise((resolve, reject) => {
      const stop = () => {
        waiting.splice(waiting.indexOf(entry), 1)
        reject(signal?.reason)
      }
      const entry: Waiting = {
        tokens,
        start(place) {
          signal?.removeEventListener('abort', stop)
          resolve(place)
        },
        refuse: reject,
      }
      waiting.push(entry)
      if (signal === undefined) return
      // More wait for one signal than Node expects.
      setMaxListeners(0, signal)
      signal.addEventListener('abort', stop, { once: true })
    })
  }

  /**
   * Handed over at once, to the one of those who wait whose prompt the sequence holds most of already; who waits longest
   * comes first among equals.
   */
  function giveBack(place: Place): void {
    free.push(place)
    free.sort(byNumber)
    const held = waiting.map(({ tokens }) => place.sequence.compareContextTokens(tokens).firstDifferentIndex)
    const [next] = waiting.splice(held.indexOf(Math.max(...held)), 1)
    next?.start(take(next.tokens))
  }

  async function use<T>(
    tokens: readonly Token[],
    signal: AbortSignal | undefined,
    work: (sequence: Sequence) => Promise<T>,
  ): Promise<T> {
    const place = await turn([...tokens], signal)
    place.steps.join(place.number)
    try {
      if (closed) throw closedError()
      return await work(inStep(place))
    } catch (error) {
      // What it holds is unknown after a failure: the next request gets a fresh one.
      await place.sequence.dispose().catch(() => {})
      if (!closed) place.sequence = place.context.getSequence()
      throw error
    } finally {
      place.steps.leave(place.number)
      giveBack(place)
    }
  }

  return {
    async use(tokens, signal, work) {
      if (closed) throw closedError()
      signal?.throwIfAborted()
      const used = use(tokens, signal, work)
      working.add(used)
      try {
        return await used
      } finally {
        working.delete(used)
      }
    },
    async close() {
      closed = true
      for (const { refuse } of waiting.splice(0)) refuse(closedError())
      await Promise.allSettled(working)
    },
  }
}

/** First those that llama.cpp numbers first, of each context in turn: few requests are shared out, and batches have no gaps. */
function byNumber(a: Place, b: Place): number {
  return a.number - b.number
}

/** How many tokens of a sequence were a prompt and evaluated together; what it wrote came one at a time. */
const prefilled = new WeakMap<LlamaContextSequence, number>()

function inStep({ sequence, number, steps }: Place): Sequence {
  return {
    model: sequence.model,
    async begin(tokens) {
      const last = tokens.length - 1
      const wanted = tokens.slice(0, last)
      const common = sequence.compareContextTokens(wanted).firstDifferentIndex
      let kept = Math.min(common, prefilled.get(sequence) ?? 0)
      // A token that is evaluated alone comes out a little different from one among others.
      if (last - kept === 1 && kept > 0) kept--
      await sequence.eraseContextTokenRanges([{ start: kept, end: sequence.nextTokenIndex }])
      const rest = wanted.slice(sequence.nextTokenIndex)
      if (rest.length > 0) await sequence.evaluateWithoutGeneratingNewTokens(rest)
      prefilled.set(sequence, last)
      return tokens.slice(last)
    },
    async *evaluate(tokens, options) {
      await steps.next(number)
      for await (const token of sequence.evaluate(tokens, options)) {
        yield token
        await steps.next(number)
      }
    },
  }
}

/**
 * Prompts are evaluated one after the other and before the next step of all texts together. Mixed batches would be split
 * where the timing wants it, and the last bits of a token's state, which draws can hang on, depend on that.
 */
export const promptsFirst: CustomBatchingPrioritizationStrategy = ({ items, size }) => {
  const prompt = items.find((item) => item.tokens.length > 1)
  if (prompt === undefined) return items.map((item) => ({ item, processAmount: 1 }))
  const { length } = prompt.tokens
  return [{ item: prompt, processAmount: length === size + 1 ? size - 1 : Math.min(size, length) }]
}
