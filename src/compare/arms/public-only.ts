// The starting checkpoint as it is: what every arm must beat.
import { z } from 'zod'
import { defineArm } from '../arm.ts'
import { NO_METERS } from '../meters.ts'

export const publicOnly = defineArm({
  name: 'public-only',
  about: 'the starting checkpoint, trained on public texts alone',
  guarantee: 'public',
  epsilons: 'once',
  settings: z.strictObject({}),
  grid: {},
  async run({ inputs, validate }) {
    const model = inputs.start
    return { model, mechanisms: [], meters: NO_METERS, validation: await validate(model), measures: {} }
  },
})
