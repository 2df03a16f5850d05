// The trainer's events during a training, as events of pretext: a stage with steps, and loss, speed and what is left.
import type { OnEvent } from '../events.ts'
import { exactDuration } from '../report/figures.ts'
import type { TrainerEvent } from './protocol.ts'
import { trainerStages } from './trainer-stages.ts'

export function trainingEvents(onEvent: OnEvent): {
  onEvent: (event: TrainerEvent) => void
  /** Closes the stage that is under way. */
  end: () => void
} {
  const stages = trainerStages('training', onEvent, (words) => words)
  let trainLoss: number | undefined
  return {
    end: stages.end,
    onEvent(event) {
      switch (event.event) {
        case 'started':
          onEvent({
            type: 'note',
            message: `training on ${event.device}${event.processes > 1 ? `, ${event.processes} processes` : ''} (PyTorch ${event.versions.torch})`,
          })
          return
        case 'warning':
        case 'note':
          onEvent({ type: event.event, message: event.message })
          return
        case 'progress':
          if (stages.words() !== event.stage) trainLoss = undefined
          stages.progress(event, detailOf(event.values ?? {}))
          return
        case 'metric': {
          if (stages.words() !== event.stage) stages.end()
          if (event.name === 'trainLoss') trainLoss = event.value
          if (event.name !== 'validationLoss') return
          const when = event.epoch === 0 ? 'before' : `epoch ${Number((event.epoch ?? 0).toFixed(2))}`
          const learned = event.epoch === 0 || trainLoss === undefined ? '' : `loss ${trainLoss.toFixed(4)}, `
          const message = `${event.stage}, ${when}: ${learned}on held-out texts ${event.value.toFixed(4)}`
          onEvent({ type: 'note', message })
          return
        }
        case 'checkpoint':
          onEvent({ type: 'artefact', kind: 'checkpoint', path: event.path })
          return
        default:
          return
      }
    },
  }
}

function detailOf(values: Readonly<Record<string, number>>): string {
  const { loss, tokensPerSecond, secondsLeft } = values
  return [
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
    ...(tokensPerSecond === undefined
      ? []
      : [`${Math.round(tokensPerSecond).toLocaleString('en-US')} tokens/s`]),
    ...(secondsLeft === undefined ? [] : [`${exactDuration(secondsLeft)} left at most`]),
  ].join(', ')
}
