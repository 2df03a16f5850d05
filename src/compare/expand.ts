// Corpora that the language model of a run writes without any vote: from the run's own initial population (expand-only), or
// from the private texts of a simulation as its examples (expand-private).
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import { UNLABELLED } from '../evolution/labels.ts'
import type { Population } from '../evolution/population.ts'
import { loadTemplate } from '../evolution/variation/template.ts'
import { expand } from '../generate/expansion.ts'
import { seededRandom } from '../random.ts'
import { initialPopulation, promptsFolder } from '../run/generate.ts'
import { readInputs } from '../run/inputs.ts'
import { openModels } from '../run/models.ts'
import type { ArmTask } from './arm.ts'

/** From `seeds`, or from the run's initial population; what the model answered is kept in `folder`, so that it is asked once. */
export async function expandPopulation(
  { onEvent, signal }: ArmTask,
  loaded: LoadedConfig,
  folder: string,
  file: string,
  seeds?: Population,
): Promise<void> {
  const { config } = loaded
  if (config.evolution.labels !== undefined) {
    throw new PretextError(`${loaded.file}: expected a config without evolution.labels for this arm`, {
      code: 'config',
      hint: 'arms that expand without votes have no shares of labels to go by',
    })
  }
  const more = { onEvent, ...(signal === undefined ? {} : { signal }) }
  const models = await openModels(loaded, join(folder, 'llm-cache.jsonl'), more)
  try {
    const { publicTexts } = await readInputs(loaded, signal)
    const population =
      seeds ?? (await initialPopulation(loaded, publicTexts, UNLABELLED, models, onEvent, signal))
    await expand(population, file, {
      ...config.generate,
      template: await loadTemplate('few-shot', promptsFolder(loaded)),
      model: models.llm,
      sampling: config.generate,
      accept: config.generate,
      labels: UNLABELLED,
      random: seededRandom(config.seed, 'expand-only'),
      ...more,
    })
  } finally {
    await models.dispose()
  }
}
