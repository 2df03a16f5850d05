// Follows a fine-tuning job to its end: its state and its events, which carry step, loss and the endpoint's own words.
import type { FineTuningJob, FineTuningJobEvent } from 'openai/resources/fine-tuning/jobs/jobs'
import type { OnEvent } from '../events.ts'
import { providerWords } from '../llm/failure.ts'
import type { OpenAiApi } from './openai-api.ts'

export interface FollowOptions {
  readonly wait: () => Promise<void>
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal
}

const ENDED: readonly FineTuningJob['status'][] = ['succeeded', 'failed', 'cancelled']

export async function followJob(api: OpenAiApi, id: string, options: FollowOptions): Promise<FineTuningJob> {
  const { onEvent, signal } = options
  const label = `fine-tuning job ${id}`
  const seen = new Set<string>()
  let status: string | undefined
  let begun = false
  for (;;) {
    signal?.throwIfAborted()
    // The state first: events that come after it are then still read once more below.
    const job = await api.call('asking for the job', (client) => client.fineTuning.jobs.retrieve(id))
    if (job.status !== status)
      onEvent({ type: 'note', message: `${label}: ${job.status.replaceAll('_', ' ')}` })
    status = job.status
    const page = await api.call('asking for the events of the job', (client) =>
      client.fineTuning.jobs.listEvents(id, { limit: 100 }),
    )
    for (const event of [...page.data].reverse()) {
      if (seen.has(event.id)) continue
      seen.add(event.id)
      begun = show(event, label, begun, onEvent)
    }
    if (ENDED.includes(job.status)) {
      if (begun) onEvent({ type: 'stage-end', stage: 'training', label })
      return job
    }
    await options.wait()
  }
}

/** Shows one event and returns whether the progress of the training has begun. */
function show(event: FineTuningJobEvent, label: string, begun: boolean, onEvent: OnEvent): boolean {
  const { step, total_steps: total } = (event.data ?? {}) as { step?: unknown; total_steps?: unknown }
  if (event.type === 'metrics' && typeof step === 'number') {
    const all = typeof total === 'number' ? { total } : {}
    if (!begun) onEvent({ type: 'stage', stage: 'training', label, unit: 'steps', ...all })
    onEvent({ type: 'progress', stage: 'training', done: step, ...all })
    return true
  }
  const message = `${label}: ${providerWords(event.message, undefined)}`
  if (event.level === 'info') onEvent({ type: 'note', message })
  else onEvent({ type: 'warning', message })
  return begun
}
