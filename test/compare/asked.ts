// What an arm asks of the trainer, without a trainer.
import type { Arm, ArmTask } from '../../src/compare/arm.ts'
import { NO_METERS } from '../../src/compare/meters.ts'
import type { ArmResult } from '../../src/finetune/arm-job.ts'

const NOTHING: ArmResult = {
  model: null,
  mechanisms: [],
  meters: NO_METERS,
  validation: { loss: 0, accuracy: 0, tokens: 0 },
  measures: {},
}

/** The job that an arm makes of these settings for 1,000 clients at delta 3e-6. */
export async function askedOf<J>(
  arm: Arm,
  epsilon: number,
  settings: Record<string, unknown>,
  adjacency: 'add-remove' | 'substitution' = 'add-remove',
): Promise<J> {
  let job: unknown
  const task = {
    inputs: { delta: 3e-6, adjacency },
    epsilon,
    clients: 1000,
    runJob: async (given: unknown) => {
      job = given
      return NOTHING
    },
  }
  await arm.run(task as unknown as ArmTask, arm.settings.parse(settings))
  return job as J
}
