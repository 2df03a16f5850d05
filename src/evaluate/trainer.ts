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
  /** What is under way: its own words, and how much of it is done. */
  let stage: { readonly label: string; readonly words: string; done: number } | undefined
  let first = true
  const end = () => {
    if (stage !== undefined) onEvent({ type: 'stage-end', stage: 'evaluation', label: stage.label })
    stage = undefined
  }
  return {
    end,
    onEvent(event) {
      if (event.event === 'warning' || event.event === 'note') {
        onEvent({ type: event.event, message: event.message })
        return
      }
      if (event.event !== 'progress') return
      const { stage: words, done, unit } = event
      const total = event.total === null ? {} : { total: event.total }
      // What comes after is timed by itself: it has a speed of its own.
      if (stage !== undefined && (stage.words !== words || done < stage.done)) end()
      if (stage === undefined) {
        stage = { label: first ? label : `${label}, ${words}`, words, done }
        first = false
        onEvent({ type: 'stage', stage: 'evaluation', label: stage.label, unit, ...total })
      }
      stage.done = done
      onEvent({ type: 'progress', stage: 'evaluation', done, ...total })
    },
  }
}
