// Work in a thread of its own, so that the process answers meanwhile and all cores work: asked by messages, it answers each
// by its number, in any order.
import { totalmem } from 'node:os'
import { parentPort, Worker } from 'node:worker_threads'
import { PretextError, type PretextErrorOptions } from './errors.ts'

export interface Thread<Question> {
  ask<Answer>(question: Question): Promise<Answer>
  /** Questions without an answer yet. */
  readonly busy: () => number
  /** Takes no more questions, and ends when those asked are answered. */
  close(): Promise<void>
}

const ENDED = 'a thread has ended'

type Asked<Question> = { readonly number: number; readonly question: Question }
type Reply = { readonly number: number } & (
  | { readonly value: unknown; readonly error?: undefined }
  | { readonly error: { readonly message: string; readonly known?: PretextErrorOptions } }
)

/** Threads of `bytes` each that a share of the memory holds, of the machine's or of what this process may have of it. */
export function threadsThatFit(bytes: number, share: number): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  return Math.floor((share * memory) / bytes)
}

/**
 * Starts a thread that runs the module `name`, which calls `answerQuestions`. It is named without its ending, since it is
 * run from where this code is: the sources (.ts) or the package (.js).
 */
export function startThread<Question>(name: URL): Thread<Question> {
  const worker = import.meta.url.endsWith('.ts')
    ? // From the sources: the loader first, and then the thread itself.
      new Worker(fromSources(`${name.href}.ts`), { eval: true, execArgv: [] })
    : new Worker(new URL(`${name.href}.js`))
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  let numbers = 0
  let gone: Error | undefined
  let answered = () => {}
  const end = (error: Error) => {
    gone ??= error
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
    answered()
  }
  worker.on('message', (reply: Reply) => {
    const asked = waiting.get(reply.number)
    waiting.delete(reply.number)
    // Only an unanswered question keeps the process alive.
    if (waiting.size === 0) {
      worker.unref()
      answered()
    }
    if (reply.error === undefined) return asked?.resolve(reply.value)
    const { message, known } = reply.error
    asked?.reject(known === undefined ? new Error(message) : new PretextError(message, known))
  })
  worker.on('error', (error) => end(error instanceof Error ? error : new Error('a thread failed')))
  worker.on('messageerror', () => end(new Error('a thread gave an answer that could not be read')))
  worker.on('exit', () => end(new Error(ENDED)))
  worker.unref()
  return {
    busy: () => waiting.size,
    ask: <Answer>(question: Question) =>
      new Promise<Answer>((resolve, reject) => {
        if (gone !== undefined) return reject(gone)
        const number = numbers++
        const asked: Asked<Question> = { number, question }
        worker.postMessage(asked)
        waiting.set(number, { resolve: resolve as (value: unknown) => void, reject })
        worker.ref()
      }),
    async close() {
      // A thread that is ended within native code takes the whole process with it, so what it does is waited for.
      gone ??= new Error(ENDED)
      while (waiting.size > 0) {
        await new Promise<void>((resolve) => {
          answered = resolve
        })
      }
      await worker.terminate()
    },
  }
}

/** The thread's side. An error's message, code and hint travel; its cause stays here. */
export function answerQuestions<Question>(answer: (question: Question) => unknown): void {
  parentPort?.on('message', async ({ number, question }: Asked<Question>) => {
    let reply: Reply
    try {
      reply = { number, value: await answer(question) }
    } catch (error) {
      const message = error instanceof Error ? error.message : 'a thread threw something that is no error'
      reply = {
        number,
        error: error instanceof PretextError ? { message, known: optionsOf(error) } : { message },
      }
    }
    parentPort?.postMessage(reply)
  })
}

function optionsOf({ code, hint, details }: PretextError): PretextErrorOptions {
  return { code, details, ...(hint === undefined ? {} : { hint }) }
}

function fromSources(href: string): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(href)}) })`
}
