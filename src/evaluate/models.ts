// The models of an evaluation: folders on the command line, grouped by what they were trained on, each checked before
// anything is computed, and told to name the next tokens of the real texts.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import { runJob } from '../finetune/run-job.ts'
import type { Random } from '../random.ts'
import type { ModelFigures } from '../report/evaluation-data.ts'
import { groupBy } from './group.ts'
import { type ModelSums, nextTokenFigures } from './next-token.ts'
import { type TrainerOptions, trainerEvents } from './trainer.ts'

export interface NamedModel {
  /** What it was trained on: several models of one name are seeds of one thing. */
  readonly name: string
  /** As the user gave it. */
  readonly path: string
  /** The folder with config.json. */
  readonly folder: string
}

/** "FOLDER" or "NAME=FOLDER", where FOLDER is a model or the output folder of `pretext train`. */
export async function namedModel(given: string): Promise<NamedModel> {
  const [, name = 'corpus', path = given] = /^([\w-]+)=(.+)$/.exec(given) ?? []
  const inside = join(path, 'model')
  const folder = (await isThere(join(path, 'config.json'))) ? path : inside
  if (!(await isThere(join(folder, 'config.json')))) {
    const adapter = await isThere(join(path, 'adapter_config.json'))
    throw new PretextError(
      adapter
        ? `${path}: expected a whole model, got an adapter alone`
        : `${path}: expected a model folder with config.json, found none`,
      {
        code: 'config',
        hint: adapter
          ? 'name the merged folder that "pretext finetune" wrote beside it'
          : 'name the folder that "pretext train" wrote, or any folder that Transformers loads',
      },
    )
  }
  const tokenizers = ['tokenizer.json', 'tokenizer.model', 'vocab.json']
  const found = await Promise.all(tokenizers.map((file) => isThere(join(folder, file))))
  if (!found.includes(true)) {
    throw new PretextError(`${path}: expected a tokenizer (tokenizer.json) in the model folder, found none`, {
      code: 'config',
      hint: 'copy the tokenizer that the model was trained with into the folder',
    })
  }
  return { name, path, folder }
}

export interface ModelsTask extends TrainerOptions {
  readonly models: readonly NamedModel[]
  /** JSON lines of {client, text}. */
  readonly texts: string
  readonly sequenceTokens: number
  readonly resamples: number
  readonly random: Random
}

export async function modelFigures(task: ModelsTask): Promise<ModelFigures[]> {
  const { models, python, onEvent, signal, resamples, random } = task
  const measured: { name: string; path: string; sums: ModelSums }[] = []
  for (const { name, path, folder } of models) {
    const events = trainerEvents(`next tokens by ${path}`, onEvent)
    const sums = await runJob<'evaluate-model'>(
      { kind: 'evaluate-model', model: folder, texts: task.texts, sequenceTokens: task.sequenceTokens },
      { python, onEvent: events.onEvent, realTexts: true, signal },
    )
    events.end()
    measured.push({ name, path, sums })
  }
  return [...groupBy(measured, ({ name }) => name)].map(([name, own]) => {
    const vocabularies = new Set(own.map(({ sums }) => sums.vocabulary))
    if (vocabularies.size > 1) {
      throw new PretextError(`${name}: expected models of one vocabulary, got several`, {
        code: 'config',
        hint: 'give models of another vocabulary a name of their own: --model other=FOLDER',
      })
    }
    return nextTokenFigures(name, own, { resamples, random: random.fork('bootstrap', name) })
  })
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
