// Expand-private: the language model writes new texts after private ones as its examples, without DP. The ceiling of what a
// corpus by this model can be. Only in a simulation, and only by a model that runs in this process.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PretextError } from '../../errors.ts'
import { readRows } from '../../run/read-run.ts'
import { defineArm } from '../arm.ts'
import { expandPopulation } from '../expand.ts'
import { llmTokensIn, NO_METERS } from '../meters.ts'
import { trainOnCorpus } from '../train-corpus.ts'
import { TRAINING_GRID, TRAINING_SETTINGS } from '../training.ts'
import { dependsHash } from '../unit.ts'

export const expandPrivate = defineArm({
  name: 'expand-private',
  about:
    'the language model expands the private texts themselves, without DP: the ceiling of a corpus by this model',
  guarantee: 'none',
  epsilons: 'once',
  settings: z.strictObject({
    ...TRAINING_SETTINGS,
    /** Keys of the run's config, as of --set. */
    set: z.record(z.string(), z.unknown()).default({}),
  }),
  grid: TRAINING_GRID,
  async run(task, { set, ...training }) {
    const loaded = await task.configured(set)
    const { provider } = loaded.config.llm
    if (provider !== 'llama' && provider !== 'scripted') {
      throw new PretextError(
        `expected a language model in this process for expand-private, got ${provider}`,
        {
          code: 'config',
          hint: 'private texts are sent nowhere, not even in a simulation: llm.provider: llama',
        },
      )
    }
    const made = await task.shared(
      `corpus-${task.corpus}-${dependsHash(set).slice(0, 8)}`,
      async (folder) => {
        const file = join(folder, 'corpus.jsonl')
        const rows = (await readFile(task.inputs.clients, 'utf8')).split('\n').filter((line) => line !== '')
        const texts = rows.map((row) => JSON.parse(row) as { text: string })
        const seeds = texts.map(({ text }) => ({ text, born: 0, origin: 'private' }))
        await expandPopulation(task, loaded, folder, file, seeds)
        return { file, llmTokens: await llmTokensIn(join(folder, 'llm-cache.jsonl')) }
      },
    )
    const texts = (await readRows(made.file)).map((row) => row.text)
    const { model, validation, measures } = await trainOnCorpus(task, texts, training)
    return {
      model,
      mechanisms: [],
      meters: { ...NO_METERS, llmTokens: made.llmTokens },
      validation,
      measures,
    }
  },
})
