// A thread that verifies (worker-verifiers.ts): asked by messages, it answers each by its number. Shares and unfinished jobs
// stay in its memory.
import { answerQuestions } from '../../thread.ts'
import { answerJob, finishJob, type Pending, startJob, type VerifyingRound } from './jobs.ts'
import type { Question } from './worker-verifiers.ts'

const unfinished = new Map<number, { readonly round: VerifyingRound; readonly pending: readonly Pending[] }>()

function answer(question: Question): unknown {
  switch (question.type) {
    case 'start': {
      const { items, pending } = startJob(question.round, question.uploads)
      unfinished.set(question.job, { round: question.round, pending })
      return items
    }
    case 'finish': {
      const job = unfinished.get(question.job)
      if (job === undefined) throw new RangeError('expected a job that was started')
      unfinished.delete(question.job)
      return finishJob(job.round, job.pending, question.answers)
    }
    case 'abandon':
      return unfinished.delete(question.job)
    case 'answer':
      return answerJob(question.round, question.items)
  }
}

answerQuestions(answer)
