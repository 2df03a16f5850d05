// What train and finetune have in common: the options of a training, and what they say at the end.
import type { Argv } from 'yargs'
import type { StageSettings, Trained, TrainOptions } from '../../finetune/train.ts'
import { exactDuration } from '../../report/figures.ts'
import type { CommonArguments } from '../context.ts'
import { shown, table } from '../output/output.ts'

const requiresArg = true

export function trainingOptions<A>(yargs: Argv<A>) {
  return yargs
    .option('out', {
      type: 'string',
      requiresArg,
      describe: 'Folder of the result (default: beside the corpus)',
    })
    .option('resume', {
      type: 'boolean',
      default: false,
      describe: 'Go on after Ctrl-C, a crash or a full disk, from the last checkpoint',
    })
    .option('mix', {
      type: 'string',
      requiresArg,
      describe:
        'Train on several runs or files together; what you state here that they are goes into the model card (finetune --provider openai: also for one file without the report of a run)',
    })
    .option('allow-generator', {
      type: 'boolean',
      default: false,
      describe: 'Train the very model that wrote the corpus',
    })
    .option('seed', { type: 'number', default: 0, requiresArg, describe: 'Of everything random' })
    .option('sequence-tokens', { type: 'number', default: 64, requiresArg, describe: 'Longest sequence' })
    .option('epochs', {
      type: 'number',
      requiresArg,
      describe:
        'At most; it stops when it gets no better (default: 20; finetune: 1, with --provider openai 3)',
    })
    .option('learning-rate', { type: 'number', requiresArg, describe: 'Of AdamW (default: 2e-4)' })
    .option('schedule', {
      choices: ['constant', 'linear', 'cosine'] as const,
      describe: 'Of the learning rate (default: constant)',
    })
    .option('batch', {
      type: 'number',
      requiresArg,
      describe: 'Sequences behind one step (default: 256; finetune: 512)',
    })
    .option('micro-batch', {
      type: 'number',
      requiresArg,
      describe: 'Sequences at once; halves by itself when memory runs out (default: 64; finetune: 16)',
    })
    .option('patience', {
      type: 'number',
      requiresArg,
      describe:
        'Epochs without a better loss on held-out synthetic texts before it stops; 0: never (default: 2)',
    })
    .option('validation-share', {
      type: 'number',
      requiresArg,
      describe: 'Share of the corpus held out to choose the best epoch (default: 0.05)',
    })
    .option('max-steps', { type: 'number', requiresArg, describe: 'Stop a stage after so many steps' })
    .option('device', {
      choices: ['auto', 'cpu'] as const,
      default: 'auto' as const,
      describe: 'auto: a GPU if there is one',
    })
    .option('processes', {
      type: 'number',
      requiresArg,
      describe: 'Processes that share each batch (default: one for each GPU, by accelerate launch)',
    })
    .option('threads', { type: 'number', requiresArg, describe: 'CPU threads of one process' })
    .option('precision', {
      choices: ['auto', 'fp32', 'bf16'] as const,
      default: 'auto' as const,
      describe: 'auto: bf16 on GPUs that have it',
    })
    .option('checkpoint-steps', {
      type: 'number',
      requiresArg,
      describe: 'Save every so many steps (default: once a minute)',
    })
    .option('gguf', {
      type: 'boolean',
      default: true,
      describe: 'Write model.gguf where the architecture allows',
    })
}

export interface StageArguments {
  readonly epochs?: number | undefined
  readonly 'learning-rate'?: number | undefined
  readonly schedule?: 'constant' | 'linear' | 'cosine' | undefined
  readonly batch?: number | undefined
  readonly 'micro-batch'?: number | undefined
  readonly patience?: number | undefined
  readonly 'validation-share'?: number | undefined
  readonly 'max-steps'?: number | undefined
}

/** The settings of the stage on the corpus: what was said, over what the command takes by itself. */
export function stageSettings(args: StageArguments, defaults: StageSettings = {}): StageSettings {
  const said = {
    epochs: args.epochs,
    learningRate: args['learning-rate'],
    schedule: args.schedule,
    batch: args.batch,
    microBatch: args['micro-batch'],
    patience: args.patience,
    validationShare: args['validation-share'],
    maxSteps: args['max-steps'],
  }
  return {
    ...defaults,
    ...Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
  }
}

export interface JobArguments {
  readonly seed: number
  readonly 'sequence-tokens': number
  readonly device: 'auto' | 'cpu'
  readonly processes?: number | undefined
  readonly threads?: number | undefined
  readonly precision: 'auto' | 'fp32' | 'bf16'
  readonly 'checkpoint-steps'?: number | undefined
  readonly gguf: boolean
}

export function jobSettings(args: JobArguments): NonNullable<TrainOptions['settings']> {
  return {
    seed: args.seed,
    sequenceTokens: args['sequence-tokens'],
    gguf: args.gguf,
    device: args.device,
    precision: args.precision,
    ...(args.processes === undefined ? {} : { processes: args.processes }),
    ...(args.threads === undefined ? {} : { threads: args.threads }),
    ...(args['checkpoint-steps'] === undefined ? {} : { checkpointSteps: args['checkpoint-steps'] }),
  }
}

/** The command as it was typed, for the card: what made this can be made again. */
export function typedCommand(): string {
  const args = process.argv
    .slice(2)
    .map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : JSON.stringify(shown(arg))))
  return `pretext ${args.join(' ')}`
}

export function sayTrained(
  { folder, result }: Trained,
  args: CommonArguments,
): [string, Record<string, unknown>] {
  const last = result.stages.at(-1)
  const seconds = result.stages.reduce((sum, stage) => sum + stage.seconds, 0)
  const rows = [
    [
      'model',
      `${result.architecture}, ${result.parameters.toLocaleString('en-US')} parameters, in ${shown(result.model)}`,
    ],
    ...(result.adapter === null ? [] : [['adapter', shown(result.adapter)]]),
    ...(result.gguf === null
      ? []
      : [['GGUF', `${shown(result.gguf)} (llm.provider: llama, llm.model: this file)`]]),
    ['card', shown(`${folder}/README.md`)],
    ...result.stages.map((stage) => [
      'loss',
      `${stage.name}: ${stage.validationLoss === null ? stage.trainLoss.toFixed(4) : `${stage.validationBefore?.toFixed(4)} -> ${stage.validationLoss.toFixed(4)} on ${stage.heldOut} held-out texts`}, ${Math.round(stage.tokensPerSecond).toLocaleString('en-US')} tokens/s${stage.stoppedEarly ? `, stopped after epoch ${Number(stage.epochs.toFixed(2))}, best ${Number((stage.bestEpoch ?? 0).toFixed(2))}` : ''}`,
    ]),
    ['time', `${exactDuration(seconds)} of steps`],
  ]
  const text = args.quiet ? result.model : `\n${table(rows)}`
  return [text, { folder, ...result, loss: last?.validationLoss ?? last?.trainLoss ?? null }]
}
