// The second half of every arm that makes a corpus: a part of it, or public texts mixed in, where the settings say so,
// training from the common checkpoint, and a look at the validation clients.
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import type { ArmMeters, ArmResult } from '../finetune/arm-job.ts'
import { seededRandom } from '../random.ts'
import { readPublicTexts } from '../texts/public-texts.ts'
import type { ArmTask } from './arm.ts'
import { trainOnce } from './train-once.ts'
import { type TrainingSettings, trainingOf } from './training.ts'

export type TrainedArm = Pick<ArmResult, 'model' | 'meters' | 'validation' | 'measures'>

/** `made`: what the corpus cost; the training is the server's, and is added to it. */
export async function trainOnCorpus(
  task: ArmTask,
  corpus: readonly string[],
  settings: TrainingSettings,
  made: ArmMeters,
): Promise<TrainedArm> {
  const { inputs, python, onEvent, signal } = task
  const { corpusTexts = corpus.length, publicShare } = settings
  const own =
    corpusTexts < corpus.length
      ? seededRandom(inputs.seed, 'corpus-texts').sample(corpus, corpusTexts)
      : corpus
  const added = await publicTexts(task, Math.round(own.length * publicShare))
  const texts = [...own, ...added]
  const { model, stages } = await trainOnce({
    out: join(inputs.out, 'training'),
    corpus: { texts, parts: [], simulation: true, mix: null },
    training: trainingOf(task.training, settings),
    pretraining: null,
    model: { from: 'folder', model: inputs.start },
    settings: {
      seed: inputs.seed,
      sequenceTokens: inputs.sequenceTokens,
      device: inputs.device,
      threads: inputs.threads,
      gguf: false,
    },
    command: 'pretext compare',
    environment: { env: { ...process.env, PRETEXT_PYTHON: python } },
    onEvent,
    signal,
  })
  const stage = stages.at(-1)
  const cpuSeconds = stages.reduce((sum, each) => sum + each.cpuSeconds, 0)
  return {
    model,
    meters: { ...made, serverCpuSeconds: made.serverCpuSeconds + cpuSeconds },
    validation: await task.validate(model),
    measures: {
      corpusTexts: own.length,
      publicTexts: added.length,
      trainingSteps: stage?.steps ?? 0,
      trainingEpochs: stage?.epochs ?? 0,
    },
  }
}

/** Of the public texts of the config, the same for every arm with this seed. */
async function publicTexts({ configured, inputs }: ArmTask, count: number): Promise<string[]> {
  if (count === 0) return []
  const loaded = await configured()
  const source = loaded.config.data.public
  if (source === undefined) {
    throw new PretextError(`${loaded.file}: expected data.public for publicShare, got none`, {
      code: 'config',
      hint: 'name public texts in the base config, or leave publicShare out',
    })
  }
  const { minWords, maxWords } = loaded.config.data
  const all = await readPublicTexts(loaded.path(source.path), source.text, { minWords, maxWords })
  return seededRandom(inputs.seed, 'public-share').sample(all, count)
}
