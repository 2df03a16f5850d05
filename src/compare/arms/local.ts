// No sharing: every client trains a copy of the start on its own texts. Nothing leaves a device, so nothing needs noise, and
// nobody learns from anybody.
import { z } from 'zod'
import { defineArm } from '../arm.ts'

const count = z.int().min(1)

export const local = defineArm({
  name: 'local',
  about: 'every client trains its own copy of the start on its own texts; nothing is shared',
  guarantee: 'none',
  noEpsilon:
    'nothing is shared, so that there is nothing to bound; each model was trained on its client’s texts as they are',
  epsilons: 'once',
  settings: z.strictObject({
    epochs: count.default(3),
    learningRate: z.number().positive().default(0.1),
    batch: count.default(4),
    /** Clients that train, drawn at random; null: all with two texts or more. */
    sample: count.nullable().default(200),
    /** Share of a client's texts that its own model is measured on. */
    heldOut: z.number().gt(0).lt(1).default(0.25),
    /** Local models that are also measured on the other clients. */
    models: count.default(5),
  }),
  grid: { learningRate: [0.03, 0.1, 0.3], epochs: [1, 3] },
  async run(task, settings) {
    const result = await task.runJob<'local'>({ kind: 'local', ...task.inputs, ...settings })
    const { models } = result.measures
    if (!Array.isArray(models)) return result
    return {
      ...result,
      models: models.map(({ folder }) => folder as string),
      measures: { ...result.measures, models: models.map(({ folder: _, ...row }) => row) },
    }
  },
})
