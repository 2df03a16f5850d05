// Verification in worker threads, so that the process answers meanwhile and all cores work.
import { Worker } from 'node:worker_threads'
import type { Answer, JobItem } from '../protocol/report-bytes.ts'
import { type JobResult, joinedResults, type VerifyingRound } from './jobs.ts'
import type { Verifiers } from './verifiers.ts'

export type Question = { readonly number: number } & (
  | {
      readonly type: 'start'
      readonly job: number
      readonly round: VerifyingRound
      readonly uploads: readonly Uint8Array[]
    }
  | { readonly type: 'finish'; readonly job: number; readonly answers: readonly Answer[] }
  | { readonly type: 'abandon'; readonly job: number }
  | { readonly type: 'answer'; readonly round: VerifyingRound; readonly items: readonly JobItem[] }
)

export type Reply = { readonly number: number } & (
  | { readonly value: unknown; readonly error?: undefined }
  | { readonly error: Error }
)

type Asked = Question extends infer Q ? (Q extends unknown ? Omit<Q, 'number'> : never) : never

interface Thread {
  ask<T>(question: Asked): Promise<T>
  /** Questions without an answer yet. */
  readonly busy: () => number
  close(): Promise<void>
}

export function workerVerifiers(threads: number): Verifiers {
  const pool = Array.from({ length: threads }, startThread)
  let jobs = 0
  const freest = () => pool.reduce((best, thread) => (thread.busy() < best.busy() ? thread : best))
  return {
    parallel: threads,
    async start(round, uploads) {
      const thread = freest()
      const job = jobs++
      const items = await thread.ask<readonly JobItem[]>({ type: 'start', job, round, uploads })
      return {
        items,
        finish: (answers) => thread.ask<JobResult>({ type: 'finish', job, answers }),
        abandon: () => void thread.ask({ type: 'abandon', job }).catch(() => {}),
      }
    },
    async answer(round, items) {
      const size = Math.max(1, Math.ceil(items.length / threads))
      const parts = pool.flatMap((thread, i) => {
        const own = items.slice(i * size, (i + 1) * size)
        return own.length === 0 ? [] : [thread.ask<Answered>({ type: 'answer', round, items: own })]
      })
      const answered = await Promise.all(parts)
      return {
        answers: answered.flatMap(({ answers }) => answers),
        result: joinedResults(
          round,
          answered.map(({ result }) => result),
        ),
      }
    },
    async close() {
      await Promise.all(pool.map((thread) => thread.close()))
    },
  }
}

type Answered = Awaited<ReturnType<Verifiers['answer']>>

function startThread(): Thread {
  const worker = import.meta.url.endsWith('.ts')
    ? // From the sources: the loader first, and then the thread itself.
      new Worker(fromSources(new URL('worker.ts', import.meta.url)), { eval: true })
    : new Worker(new URL('worker.js', import.meta.url))
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  let numbers = 0
  let gone: Error | undefined
  const end = (error: Error) => {
    gone ??= error
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }
  worker.on('message', (reply: Reply) => {
    const asked = waiting.get(reply.number)
    waiting.delete(reply.number)
    // Only an unanswered question keeps the process alive.
    if (waiting.size === 0) worker.unref()
    if (reply.error === undefined) asked?.resolve(reply.value)
    else asked?.reject(reply.error)
  })
  worker.on('error', (error) => end(error instanceof Error ? error : new Error('a verifying thread failed')))
  worker.on('exit', () => end(new Error('a verifying thread has ended')))
  worker.unref()
  return {
    busy: () => waiting.size,
    ask: <T>(question: Asked) =>
      new Promise<T>((resolve, reject) => {
        if (gone !== undefined) return reject(gone)
        const number = numbers++
        waiting.set(number, { resolve: resolve as (value: unknown) => void, reject })
        worker.ref()
        worker.postMessage({ ...question, number })
      }),
    async close() {
      await worker.terminate()
    },
  }
}

function fromSources({ href }: URL): string {
  return `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(href)}) })`
}
