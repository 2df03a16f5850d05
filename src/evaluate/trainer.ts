// The trainer's events during an evaluation, as events of pretext.
import type { OnEvent } from '../events.ts'
import type { TrainerEvent } from '../finetune/protocol.ts'
import { trainerStages } from '../finetune/trainer-stages.ts'

export interface TrainerOptions {
  /** The Python that has the trainer's packages. */
  readonly python: string
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal | undefined
}

export function trainerEvents(
  label: string,
  onEvent: OnEvent,
): { onEvent: (event: TrainerEvent) => void; end: () => void } {
  const stages = trainerStages('evaluation', onEvent, (words, first) =>
    first ? label : `${label}, ${words}`,
  )
  return {
    end: stages.end,
    onEvent(event) {
      if (event.event === 'warning' || event.event === 'note') {
        onEvent({ type: event.event, message: event.message })
      } else if (event.event === 'progress') stages.progress(event)
    },
  }
}
