// The stages of a trainer's job as stages of pretext, one at a time, each timed by itself: it has a speed of its own.
import type { OnEvent, StageName } from '../events.ts'
import type { TrainerEvent } from './protocol.ts'

type Progress = Extract<TrainerEvent, { event: 'progress' }>

export interface TrainerStages {
  /** Tells how far it is; what has other words than the stage under way, or has done less, is a new stage. */
  progress(event: Progress, detail?: string): void
  /** The trainer's own words for what is under way. */
  words(): string | undefined
  end(): void
}

export function trainerStages(
  stage: StageName,
  onEvent: OnEvent,
  labelOf: (words: string, first: boolean) => string,
): TrainerStages {
  let under: { readonly label: string; readonly words: string; done: number } | undefined
  let first = true
  const end = () => {
    if (under !== undefined) onEvent({ type: 'stage-end', stage, label: under.label })
    under = undefined
  }
  return {
    end,
    words: () => under?.words,
    progress({ stage: words, done, unit, total: most }, detail = '') {
      const total = most === null ? {} : { total: most }
      if (under !== undefined && (under.words !== words || done < under.done)) end()
      if (under === undefined) {
        under = { label: labelOf(words, first), words, done }
        first = false
        onEvent({ type: 'stage', stage, label: under.label, unit, ...total })
      }
      under.done = done
      onEvent({ type: 'progress', stage, done, ...total, ...(detail === '' ? {} : { detail }) })
    },
  }
}
