// What is known of one job of a batch, in its folder (job.json): its settings, and each step with its result. Written after
// every step, so that a batch goes on where it stopped, on whatever machine sees the folder.
import { join } from 'node:path'
import { z } from 'zod'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { STEPS } from './config.ts'
import type { Job } from './jobs.ts'

const StepState = z.object({
  status: z.enum(['done', 'failed']),
  seconds: z.number(),
  /** What the step printed with --json. */
  result: z.record(z.string(), z.unknown()),
})

const State = z.object({
  format: z.literal('pretext-batch-job'),
  version: z.literal(1),
  id: z.string(),
  values: z.record(z.string(), z.string()),
  settings: z.array(z.string()),
  steps: z.partialRecord(z.enum(STEPS), StepState),
})

export type JobState = z.infer<typeof State>
export type StepState = z.infer<typeof StepState>

export const jobFolder = (folder: string, id: string): string => join(folder, 'jobs', id)
const stateFile = (folder: string, id: string): string => join(jobFolder(folder, id), 'job.json')

/** The state of a job, fresh where it was never begun; fails where its folder belongs to other settings. */
export async function readJobState(folder: string, job: Job): Promise<JobState> {
  const file = stateFile(folder, job.id)
  const text = await readIfThere(file)
  const { id, values, settings } = job
  if (text === undefined) {
    return {
      format: 'pretext-batch-job',
      version: 1,
      id,
      values: { ...values },
      settings: [...settings],
      steps: {},
    }
  }
  let state: JobState
  try {
    state = State.parse(JSON.parse(text))
  } catch {
    throw new PretextError(`${file}: expected the state of a job of a batch, got something else`, {
      code: 'data',
      hint: 'remove the folder of the job to do it again (what its release spent stays in the ledger)',
    })
  }
  if (JSON.stringify(state.settings) !== JSON.stringify(settings)) {
    throw new PretextError(`${file}: this job was begun with other settings than the batch file has now`, {
      code: 'config',
      hint: 'choose another output.folder in the batch file, or put the old settings back',
    })
  }
  return state
}

export async function writeJobState(folder: string, state: JobState): Promise<void> {
  await writeDurable(stateFile(folder, state.id), `${JSON.stringify(state, null, 2)}\n`)
}
