// The trainer's events during an evaluation, as events of pretext.
import type { OnEvent } from '../events.ts'
import type { TrainerEvent } from '../finetune/protocol.ts'

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
  let begun = false
  return {
    onEvent(event) {
      if (event.event === 'warning' || event.event === 'note') {
        onEvent({ type: event.event, message: event.message })
        return
      }
      if (event.event !== 'progress') return
      const total = event.total === null ? {} : { total: event.total }
      if (!begun) onEvent({ type: 'stage', stage: 'evaluation', label, unit: event.unit, ...total })
      begun = true
      onEvent({ type: 'progress', stage: 'evaluation', done: event.done, ...total })
    },
    end() {
      if (begun) onEvent({ type: 'stage-end', stage: 'evaluation', label })
    },
  }
}
