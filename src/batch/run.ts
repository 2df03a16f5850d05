// A batch: many jobs, some at once, each step by step. A job that fails stops its own later steps and nothing else. Done
// steps are not done again, so that the same command goes on after any stop.
import { join } from 'node:path'
import pLimit from 'p-limit'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import type { BatchConfig, Step } from './config.ts'
import { type Job, jobsOf } from './jobs.ts'
import type { StartStep } from './process.ts'
import { type Share, takeShare } from './share.ts'
import { type JobState, jobFolder, readJobState, writeJobState } from './state.ts'
import { stepArguments } from './steps.ts'
import { type BatchSummary, summarise, writeSummary } from './summary.ts'

export interface BatchOptions {
  readonly share: Share
  /** Jobs at once in this process. */
  readonly parallel: number
  readonly start: StartStep
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
  readonly now?: () => number
}

export async function runBatch(batch: BatchConfig, options: BatchOptions): Promise<BatchSummary> {
  const { share, parallel, signal } = options
  const jobs = jobsOf(batch)
  const own = takeShare(jobs, share)
  const limit = pLimit(parallel)
  await Promise.all(own.map((job) => limit(() => runJob(batch, job, jobs.length, options))))
  const summary = await summarise(batch, jobs, own)
  await writeSummary(batch, summary)
  if (stopped(signal)) {
    throw new PretextError('stopped; what was done is kept', {
      code: 'interrupted',
      hint: 'run the same command again: finished steps are not done again',
    })
  }
  return summary
}

async function runJob(batch: BatchConfig, job: Job, all: number, options: BatchOptions): Promise<void> {
  const { start, signal, onEvent = ignoreEvents, now = performance.now.bind(performance) } = options
  if (stopped(signal)) return
  const say = (words: string) =>
    onEvent({ type: 'note', message: `job ${job.index + 1}/${all} ${job.id}: ${words}` })
  let state = await readJobState(batch.folder, job)
  for (const step of batch.steps) {
    if (state.steps[step]?.status === 'done') continue
    const args = await stepArguments(batch, job, step)
    if (stopped(signal)) return
    if (args === undefined) {
      state = await keep(batch, state, step, { status: 'done', seconds: 0, result: {} })
      continue
    }
    say(`${step} ...`)
    const log = join(jobFolder(batch.folder, job.id), `${step}.log`)
    const began = now()
    const { exitCode, result } = await start(args, { log, ...(signal === undefined ? {} : { signal }) })
    const seconds = (now() - began) / 1000
    // Stopped and not failed: the step stays open.
    if (exitCode !== 0 && stopped(signal)) return
    const status = exitCode === 0 ? 'done' : 'failed'
    state = await keep(batch, state, step, { status, seconds, result: { ...result, exitCode } })
    if (status === 'failed') {
      const why = typeof result.message === 'string' ? result.message : `exit code ${exitCode}`
      onEvent({ type: 'warning', message: `job ${job.id}: ${step} failed: ${why}; log in ${log}` })
      return
    }
    say(`${step} done (${Math.round(seconds)} s)`)
  }
}

// A function, because the compiler does not see that a signal changes while one waits.
function stopped(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true
}

async function keep(
  batch: BatchConfig,
  state: JobState,
  step: Step,
  outcome: NonNullable<JobState['steps'][Step]>,
): Promise<JobState> {
  const next = { ...state, steps: { ...state.steps, [step]: outcome } }
  await writeJobState(batch.folder, next)
  return next
}
