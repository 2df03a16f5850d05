// pretext finetune CORPUS --model M: a large model on the corpus, by LoRA.
import type { Argv } from 'yargs'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { checkOpenAiOptions, finetuneAtOpenAi, openAiOptions } from './finetune-openai.ts'
import { defaultOut } from './train.ts'
import { jobSettings, sayTrained, stageSettings, trainingOptions, typedCommand } from './training-options.ts'

const requiresArg = true

/** Epochs and batch of the paper for the large model. */
const PAPER = { epochs: 1, batch: 512, microBatch: 16 } as const

export const finetuneCommand = defineCommand({
  command: 'finetune <corpus..>',
  describe:
    'Fine-tune a large language model on a corpus by LoRA or QLoRA (Python with PyTorch is set up on first use)',
  builder: (yargs) =>
    openAiOptions(trainingOptions(yargs))
      .positional('corpus', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'Folder of a run, or a file of synthetic texts',
      })
      .option('model', {
        type: 'string',
        demandOption: true,
        requiresArg,
        describe:
          'Folder, Hub id (owner/name), GGUF, or a name of "pretext models"; not the one that wrote the corpus',
      })
      .option('rank', { type: 'number', default: 4, requiresArg, describe: 'Of the adapter' })
      .option('alpha', { type: 'number', default: 8, requiresArg, describe: 'Scale of the adapter' })
      .option('dropout', { type: 'number', default: 0, requiresArg, describe: 'In the adapter' })
      .option('quantise', {
        choices: ['none', 'nf4'] as const,
        default: 'none' as const,
        describe: 'nf4: QLoRA, the base in four bits (GPU, bitsandbytes)',
      })
      .example('$0 finetune runs/r1 --model HuggingFaceTB/SmolLM2-135M', "LoRA with the paper's settings")
      .example('$0 finetune corpus.jsonl --model models/base/model --rank 8', 'A model of your own')
      .example(
        '$0 finetune runs/r1 --provider openai --model gpt-4.1-nano-2025-04-14 --instruction "Write one." --max-cost 5',
        'By the OpenAI API: shows the cost and asks',
      )
      .check((args) => {
        if (args.provider === 'openai') checkOpenAiOptions(args, defaultedOf(yargs))
        return true
      }),
  async handler(args) {
    if (args.provider === 'openai') return finetuneAtOpenAi(args)
    const { readTrainingCorpus } = await import('../../finetune/corpus.ts')
    const { startingModel } = await import('../../finetune/starting-model.ts')
    const { trainModel } = await import('../../finetune/train.ts')
    const output = outputOf(args)
    const trained = await interruptible(output, async (signal) =>
      trainModel({
        out: args.out ?? (await defaultOut(args.corpus[0], 'finetune')),
        resume: args.resume,
        corpus: await readTrainingCorpus(args.corpus, { mix: args.mix }),
        pretraining: null,
        training: stageSettings(args, PAPER),
        model: await startingModel(args.model, { onEvent: output.onEvent, signal }),
        modelName: args.model,
        allowGenerator: args['allow-generator'],
        lora: { rank: args.rank, alpha: args.alpha, dropout: args.dropout, quantise: args.quantise },
        settings: jobSettings(args),
        command: typedCommand(),
        onEvent: output.onEvent,
        signal,
      }),
    )
    output.result(...sayTrained(trained, args))
  },
})

/** The options that nobody gave: their values are defaults. */
function defaultedOf({ parsed }: Argv): readonly string[] {
  // Not in the types of yargs, which have an older name for it.
  const { defaulted = {} } = (parsed === false ? {} : parsed) as { defaulted?: Record<string, true> }
  return Object.keys(defaulted)
}
