// What the trainer says of a job, as stages: each is timed by itself, so that what is left of one is not told by another's speed.
import { describe, expect, it } from 'vitest'
import { trainerEvents } from '../../src/evaluate/trainer.ts'
import type { PretextEvent } from '../../src/events.ts'
import type { TrainerEvent } from '../../src/finetune/protocol.ts'

const progress = (stage: string, done: number, total = 9): TrainerEvent => ({
  event: 'progress',
  stage,
  done,
  total,
  unit: 'clients',
})

function said(events: readonly TrainerEvent[]): string[] {
  const all: PretextEvent[] = []
  const { onEvent, end } = trainerEvents('dr-encoder', (event) => all.push(event))
  for (const event of events) onEvent(event)
  end()
  end()
  return all.map((event) =>
    event.type === 'progress' ? `${event.done}` : `${event.type} ${'label' in event ? event.label : ''}`,
  )
}

describe('stages of a job', () => {
  it('begin anew with other work, and with the same work once more', () => {
    expect(
      said([
        progress('statistics', 8),
        progress('statistics', 9),
        progress('rounds', 1),
        progress('rounds', 2),
        progress('rounds', 1),
      ]),
    ).toEqual([
      'stage dr-encoder',
      '8',
      '9',
      'stage-end dr-encoder',
      'stage dr-encoder, rounds',
      '1',
      '2',
      'stage-end dr-encoder, rounds',
      'stage dr-encoder, rounds',
      '1',
      'stage-end dr-encoder, rounds',
    ])
  })

  it('are none where nothing is reported', () => {
    expect(said([{ event: 'note', message: 'a' }])).toEqual(['note '])
  })
})
