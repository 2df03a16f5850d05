// Expand-private: the language model writes new texts after private ones as its examples, without DP. The ceiling of what a
// corpus by this model can be. Only in a simulation, and only by a model that runs in this process.
import { PretextError } from '../../errors.ts'
import { defineArm } from '../arm.ts'
import { gatherTexts } from '../gathered.ts'
import { trainOnExpansion } from '../train-on-expansion.ts'
import { CORPUS_SETTINGS, TRAINING_GRID } from '../training.ts'

export const expandPrivate = defineArm({
  name: 'expand-private',
  about:
    'the language model expands the private texts themselves, without DP: the ceiling of a corpus by this model',
  guarantee: 'none',
  noEpsilon: 'private texts stand in the prompts as they are, and the model may copy them',
  epsilons: 'once',
  onCorpora: true,
  settings: CORPUS_SETTINGS,
  grid: TRAINING_GRID,
  async run(task, settings) {
    const { provider } = (await task.configured(settings.set)).config.llm
    if (provider !== 'llama' && provider !== 'scripted') {
      throw new PretextError(
        `expected a language model in this process for expand-private, got ${provider}`,
        {
          code: 'config',
          hint: 'private texts are sent nowhere, not even in a simulation: llm.provider: llama',
        },
      )
    }
    const { texts, meters } = await gatherTexts(task.inputs.clients)
    const seeds = texts.map((text) => ({ text, born: 0, origin: 'private' }))
    return trainOnExpansion(task, settings, seeds, meters)
  },
})
