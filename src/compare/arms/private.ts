// The ceiling of the model: trained on the private texts themselves, in one place, without DP.
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { defineArm } from '../arm.ts'
import { NO_METERS } from '../meters.ts'
import { trainOnCorpus } from '../train-corpus.ts'
import { TRAINING_GRID, TRAINING_SETTINGS } from '../training.ts'

export const privateTexts = defineArm({
  name: 'private',
  about:
    'trained on the private texts themselves, gathered in one place, without DP: the ceiling of the model',
  guarantee: 'none',
  noEpsilon: 'the model is trained on the private texts as they are',
  epsilons: 'once',
  settings: z.strictObject({ ...TRAINING_SETTINGS }),
  grid: TRAINING_GRID,
  async run(task, settings) {
    const rows = (await readFile(task.inputs.clients, 'utf8')).split('\n').filter((line) => line !== '')
    const texts = rows.map((row) => (JSON.parse(row) as { text: string }).text)
    const { model, validation, measures } = await trainOnCorpus(task, texts, settings)
    return { model, mechanisms: [], meters: NO_METERS, validation, measures }
  },
})
