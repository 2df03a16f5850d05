// The corpus that the votes must beat: the run's own language model expands the run's own initial population, with no vote in
// between (Expand-only in the paper). It costs no privacy. Made once, it is kept beside the evaluation.
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import { readPopulation } from '../evolution/population.ts'
import { loadTemplate } from '../evolution/variation/template.ts'
import { expand } from '../generate/expansion.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import { seededRandom } from '../random.ts'
import { configOfRun } from './evaluated.ts'
import { exists } from './folder.ts'
import { promptsFolder } from './generate.ts'
import { openModels } from './models.ts'
import { readCorpus, readRows } from './read-run.ts'

interface ExpandOnlyOptions {
  readonly corpus: string
  readonly expandOnly?: boolean
  readonly signal?: AbortSignal
}

/** Its rows; undefined where there is none and none was asked for. */
export async function makeExpandOnly(
  { corpus: run, expandOnly, signal }: ExpandOnlyOptions,
  out: string,
  onEvent: OnEvent,
): Promise<CorpusRow[] | undefined> {
  const file = join(out, 'expand-only.jsonl')
  if (await exists(file)) return readRows(file)
  if (expandOnly !== true) return undefined
  const population = await readPopulation(join(run, 'rounds', '0001', 'population.jsonl'))
  if (population === undefined) {
    throw new PretextError(`${run}: expected a run with its initial population for expand-only, found none`, {
      code: 'usage',
      hint: 'expand-only starts from where a run started: name the folder of a run',
    })
  }
  const loaded = await configOfRun(run)
  const { config } = loaded
  const corpus = await readCorpus(run)
  const names = config.evolution.labels?.values ?? [undefined]
  // The shares of the corpus were public, given or released: taking them from it tells nothing new.
  const shares = names.map((name) => corpus.filter((row) => row.label === name).length / corpus.length)
  const more = { onEvent, ...(signal === undefined ? {} : { signal }) }
  const models = await openModels(loaded, join(out, 'llm-cache.jsonl'), more)
  try {
    await expand(population, file, {
      ...config.generate,
      texts: corpus.length,
      template: await loadTemplate('few-shot', promptsFolder(loaded)),
      model: models.llm,
      sampling: config.generate,
      accept: config.generate,
      labels: { names, shares },
      random: seededRandom(config.seed, 'expand-only'),
      ...more,
    })
  } finally {
    await models.dispose()
  }
  return readRows(file)
}
