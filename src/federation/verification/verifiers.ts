// Who does the work of verification: this thread, or worker threads (worker-verifiers.ts). The same work, the same results.
import type { Answer, JobItem } from '../protocol/report-bytes.ts'
import { answerJob, finishJob, type JobResult, startJob, type VerifyingRound } from './jobs.ts'

/** A job of the leader between its two halves. */
export interface RunningJob {
  readonly items: readonly JobItem[]
  finish(answers: readonly Answer[]): Promise<JobResult>
  /** Forgets it: the helper gave no answer. */
  abandon(): void
}

export interface Verifiers {
  /** Jobs that are worked on at the same time. */
  readonly parallel: number
  /** The leader's work. */
  start(round: VerifyingRound, uploads: readonly Uint8Array[]): Promise<RunningJob>
  /** The helper's work. */
  answer(
    round: VerifyingRound,
    items: readonly JobItem[],
  ): Promise<{ readonly answers: readonly Answer[]; readonly result: JobResult }>
  close(): Promise<void>
}

export function ownThread(): Verifiers {
  return {
    parallel: 1,
    async start(round, uploads) {
      const { items, pending } = startJob(round, uploads)
      return { items, finish: async (answers) => finishJob(round, pending, answers), abandon: () => {} }
    },
    answer: async (round, items) => answerJob(round, items),
    close: async () => {},
  }
}
