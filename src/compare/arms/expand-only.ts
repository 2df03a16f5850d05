// Expand-only: the language model expands the initial population of a run, and nobody votes. No private text is used; what
// PrE-Text gains over it is what the votes are worth.
import { join } from 'node:path'
import { z } from 'zod'
import { readRows } from '../../run/read-run.ts'
import { defineArm } from '../arm.ts'
import { expandPopulation } from '../expand.ts'
import { llmTokensIn, NO_METERS } from '../meters.ts'
import { trainOnCorpus } from '../train-corpus.ts'
import { TRAINING_GRID, TRAINING_SETTINGS } from '../training.ts'
import { dependsHash } from '../unit.ts'

export const expandOnly = defineArm({
  name: 'expand-only',
  about:
    'the initial population of a run, expanded by its language model without a vote: no private text is used',
  guarantee: 'public',
  epsilons: 'once',
  settings: z.strictObject({
    ...TRAINING_SETTINGS,
    /** Keys of the run's config, as of --set. */
    set: z.record(z.string(), z.unknown()).default({}),
  }),
  grid: TRAINING_GRID,
  async run(task, { set, ...training }) {
    const made = await task.shared(
      `corpus-${task.corpus}-${dependsHash(set).slice(0, 8)}`,
      async (folder) => {
        const file = join(folder, 'corpus.jsonl')
        await expandPopulation(task, await task.configured(set), folder, file)
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
