// pretext train [CORPUS..]: a small language model on a corpus, from scratch or from a checkpoint.
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PretextError } from '../../errors.ts'
import type { StageSettings, TrainOptions } from '../../finetune/train.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import {
  type JobArguments,
  jobSettings,
  type StageArguments,
  sayTrained,
  stageSettings,
  trainingOptions,
  typedCommand,
} from './training-options.ts'

const requiresArg = true

/** The texts of general English that come with the source tree (not with the npm package: their licences are others'). */
const PUBLIC_TEXTS = fileURLToPath(new URL('../../../data/public/texts.jsonl', import.meta.url))

export const trainCommand = defineCommand({
  command: 'train [corpus..]',
  describe: 'Train a small language model on a corpus (Python with PyTorch is set up on first use)',
  builder: (yargs) =>
    trainingOptions(yargs)
      .positional('corpus', {
        type: 'string',
        array: true,
        describe: 'Folder of a run, or a file of synthetic texts; without one, public pre-training alone',
      })
      .option('from', {
        type: 'string',
        requiresArg,
        describe: 'Start from this model instead of random weights: folder, Hub id (owner/name), or GGUF',
      })
      .option('tokenizer', {
        type: 'string',
        requiresArg,
        describe: 'Folder of a tokenizer, instead of a new one',
      })
      .option('pretrain', {
        type: 'string',
        array: true,
        describe:
          'Public texts to pre-train on (default: data/public, from scratch only); --no-pretrain leaves it out',
      })
      .option('pretrain-epochs', { type: 'number', requiresArg, describe: 'At most (default: 10)' })
      .option('pretrain-learning-rate', { type: 'number', requiresArg, describe: 'default: 1e-3, cosine' })
      .option('pretrain-batch', { type: 'number', requiresArg, describe: 'default: 64' })
      .option('layers', { type: 'number', requiresArg, describe: 'Of a new model (default: 6)' })
      .option('width', { type: 'number', requiresArg, describe: 'Of a new model (default: 384)' })
      .option('heads', { type: 'number', requiresArg, describe: 'Of a new model (default: 6)' })
      .option('feed-forward', { type: 'number', requiresArg, describe: 'Of a new model (default: 1024)' })
      .option('vocabulary', { type: 'number', requiresArg, describe: 'Of a new tokenizer (default: 8192)' })
      .example(
        '$0 train runs/quickstart-20260101-120000',
        'About 14 million parameters, public pre-training first',
      )
      .example('$0 train corpus.jsonl --from models/base/model', 'From a model that was trained before')
      .example('$0 train --pretrain data/public/texts.jsonl --out models/base', 'Public pre-training alone'),
  async handler(args) {
    const { readTrainingCorpus } = await import('../../finetune/corpus.ts')
    const { startingModel } = await import('../../finetune/starting-model.ts')
    const { trainModel } = await import('../../finetune/train.ts')
    const output = outputOf(args)
    const inputs = args.corpus ?? []
    const fromScratch = args.from === undefined
    const { pretraining, training, scratch, settings } = trainSettings(args)
    const trained = await interruptible(output, async (signal) => {
      const publicTexts = await publicTextsOf(args.pretrain, fromScratch)
      const corpus = inputs.length === 0 ? null : await readTrainingCorpus(inputs, { mix: args.mix })
      return trainModel({
        out: args.out ?? (await defaultOut(inputs[0], 'train')),
        resume: args.resume,
        corpus,
        publicTexts,
        pretraining,
        training,
        model:
          args.from === undefined
            ? scratch
            : await startingModel(args.from, { onEvent: output.onEvent, signal }),
        modelName: args.from,
        allowGenerator: args['allow-generator'],
        settings,
        command: typedCommand(),
        onEvent: output.onEvent,
        signal,
      })
    })
    output.result(...sayTrained(trained, args))
  },
})

export interface TrainArguments extends StageArguments, JobArguments {
  readonly from?: string | undefined
  readonly tokenizer?: string | undefined
  readonly pretrain?: string[] | undefined
  readonly 'pretrain-epochs'?: number | undefined
  readonly 'pretrain-learning-rate'?: number | undefined
  readonly 'pretrain-batch'?: number | undefined
  readonly layers?: number | undefined
  readonly width?: number | undefined
  readonly heads?: number | undefined
  readonly 'feed-forward'?: number | undefined
  readonly vocabulary?: number | undefined
}

/**
 * What the options alone decide of a training; a batch checks it before its first job.
 * @throws PretextError `usage` for options that exclude each other
 */
export function trainSettings(args: TrainArguments) {
  const fromScratch = args.from === undefined
  const shape = {
    layers: args.layers,
    width: args.width,
    heads: args.heads,
    feedForward: args['feed-forward'],
    vocabulary: args.vocabulary,
  }
  const given = Object.entries(shape).filter(([, value]) => value !== undefined)
  if (!fromScratch && (given.length > 0 || args.tokenizer !== undefined)) {
    const names = [...given.map(([name]) => name), ...(args.tokenizer === undefined ? [] : ['tokenizer'])]
    throw new PretextError(
      `expected no ${names.join(', ')} beside --from: a checkpoint brings its own architecture and vocabulary`,
      { code: 'usage', hint: 'leave these options out, or leave --from out to begin with random weights' },
    )
  }
  if (noPretraining(args.pretrain) && args.pretrain?.some((each) => typeof each === 'string') === true) {
    throw new PretextError('expected --pretrain FILE or --no-pretrain, got both', {
      code: 'usage',
      hint: 'leave one of them out',
    })
  }
  const scratch: Extract<TrainOptions['model'], { from: 'scratch' }> = {
    from: 'scratch',
    ...Object.fromEntries(given),
    ...(args.tokenizer === undefined ? {} : { tokenizer: resolve(args.tokenizer) }),
  }
  const pretraining: StageSettings | null =
    noPretraining(args.pretrain) || (!fromScratch && args.pretrain === undefined)
      ? null
      : {
          schedule: 'cosine',
          warmupSteps: 50,
          learningRate: args['pretrain-learning-rate'] ?? 1e-3,
          epochs: args['pretrain-epochs'] ?? 10,
          batch: args['pretrain-batch'] ?? 64,
          ...(args['micro-batch'] === undefined ? {} : { microBatch: args['micro-batch'] }),
          ...(args['max-steps'] === undefined ? {} : { maxSteps: args['max-steps'] }),
        }
  return { pretraining, training: stageSettings(args), scratch, settings: jobSettings(args) }
}

function noPretraining(pretrain: unknown): boolean {
  // --no-pretrain of an option that takes a list is a false, or one in the list.
  return Array.isArray(pretrain) ? (pretrain as unknown[]).includes(false) : pretrain === false
}

async function publicTextsOf(pretrain: string[] | undefined, fromScratch: boolean) {
  const { readPublicTexts } = await import('../../texts/public-texts.ts')
  const none = noPretraining(pretrain)
  if (!fromScratch && (none || pretrain === undefined)) return undefined
  const own = none ? undefined : pretrain
  const there = await stat(PUBLIC_TEXTS).catch(() => undefined)
  const files = own ?? (there === undefined ? [] : [PUBLIC_TEXTS])
  if (files.length === 0) {
    if (none) return undefined
    throw new PretextError('expected public texts to pre-train on, and this installation comes without any', {
      code: 'usage',
      hint: 'give --pretrain FILE (one text in each row), or leave pre-training out with --no-pretrain',
    })
  }
  const texts = (
    await Promise.all(files.map((file) => readPublicTexts(file, 'text', { minWords: 1 })))
  ).flat()
  return {
    texts,
    name: files.map((file) => (file === PUBLIC_TEXTS ? 'data/public' : basename(file))).join(', '),
  }
}

/** Inside the run's folder, or beside the file. */
export async function defaultOut(input: string | undefined, name: string): Promise<string> {
  if (input === undefined) {
    throw new PretextError('expected --out, the folder of the model, where no corpus is named', {
      code: 'usage',
      hint: 'pretext train --pretrain FILE --out models/base',
    })
  }
  const found = await stat(input).catch(() => undefined)
  return found?.isDirectory() === true
    ? join(input, name)
    : join(dirname(input), `${basename(input, extname(input))}-${name}`)
}
