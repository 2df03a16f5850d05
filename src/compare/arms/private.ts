// The ceiling of the model: trained on the private texts themselves, in one place, without DP.
import { z } from 'zod'
import { defineArm } from '../arm.ts'
import { gatherTexts } from '../gathered.ts'
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
    const { texts, meters } = await gatherTexts(task.inputs.clients)
    return { ...(await trainOnCorpus(task, texts, settings, meters)), mechanisms: [] }
  },
})
