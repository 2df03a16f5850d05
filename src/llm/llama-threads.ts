// How the cores are shared out to contexts of llama.cpp over one model: several with few threads in place of one with many. Threads
// of a context wait for each other some hundred times a token, by spinning, so that one that loses its core to another program stops
// them all (on two busy cores one context with 2 threads wrote 2 tokens a second, and with 1 thread 37). Alone in its context a
// thread waits for nobody.
import { availableParallelism } from 'node:os'

export interface ContextShare {
  readonly sequences: number
  readonly threads: number
}

/** Node's thread pool, in which contexts compute, has four threads. */
const MOST_CONTEXTS = 4
/** A batch of fewer texts costs almost as much. */
const LEAST_SEQUENCES = 4
/** Of the cores that there are for threads that wait for each other. */
const LEAST_USED = 0.75

/** As many contexts as keep the cores busy. Where a context has several threads, one core is left to others. */
export function shareThreads(sequences: number, threads = availableParallelism()): ContextShare[] {
  const most = Math.min(MOST_CONTEXTS, threads, Math.ceil(sequences / LEAST_SEQUENCES))
  if (most === threads) return shares(sequences, most, 1)
  const used = (contexts: number) => contexts * Math.floor((threads - 1) / contexts)
  let contexts = most
  while (used(contexts) < LEAST_USED * (threads - 1)) contexts--
  return shares(sequences, contexts, Math.floor((threads - 1) / contexts))
}

function shares(sequences: number, contexts: number, threads: number): ContextShare[] {
  return Array.from({ length: contexts }, (_, i) => ({
    sequences: Math.ceil((sequences - i) / contexts),
    threads,
  }))
}
