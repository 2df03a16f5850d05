// Verification in worker threads, so that the process answers meanwhile and all cores work.
import { startThread } from '../../thread.ts'
import type { Answer, JobItem } from '../protocol/report-bytes.ts'
import { type JobResult, joinedResults, type VerifyingRound } from './jobs.ts'
import type { Verifiers } from './verifiers.ts'

export type Question =
  | {
      readonly type: 'start'
      readonly job: number
      readonly round: VerifyingRound
      readonly uploads: readonly Uint8Array[]
    }
  | { readonly type: 'finish'; readonly job: number; readonly answers: readonly Answer[] }
  | { readonly type: 'abandon'; readonly job: number }
  | { readonly type: 'answer'; readonly round: VerifyingRound; readonly items: readonly JobItem[] }

export function workerVerifiers(threads: number): Verifiers {
  const pool = Array.from({ length: threads }, () =>
    startThread<Question>(new URL('worker', import.meta.url)),
  )
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
