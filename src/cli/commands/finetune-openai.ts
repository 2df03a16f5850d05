// The half of pretext finetune that tunes a model at an OpenAI endpoint: its options, the question before money is spent, and
// what it says at the end.
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Argv } from 'yargs'
import { PretextError } from '../../errors.ts'
import type { FineTuneEstimate } from '../../finetune/openai-cost.ts'
import { dollarsText } from '../../report/figures.ts'
import { type CommonArguments, interruptible, outputOf } from '../context.ts'
import { shown, table } from '../output/output.ts'
import { defaultOut } from './train.ts'
import { typedCommand } from './training-options.ts'

const requiresArg = true
const group = 'OpenAI API (--provider openai):'

export function openAiOptions<A>(yargs: Argv<A>) {
  return yargs
    .option('provider', {
      choices: ['local', 'openai'] as const,
      default: 'local' as const,
      describe: 'openai: tune a model at an OpenAI endpoint; uploads the synthetic texts, costs money',
    })
    .option('instruction', {
      type: 'string',
      requiresArg,
      group,
      describe: "The user's turn before each text; {label} in it stands for the label of the text",
    })
    .option('yes', { type: 'boolean', default: false, alias: 'y', group, describe: 'Pay without a question' })
    .option('max-cost', {
      type: 'number',
      requiresArg,
      group,
      describe: 'Stop before the upload if it could cost more (US dollars)',
    })
    .option('price', {
      type: 'number',
      requiresArg,
      group,
      describe: 'US dollars per million training tokens, instead of the built-in table',
    })
    .option('suffix', { type: 'string', requiresArg, group, describe: 'End of the name of the tuned model' })
    .option('base-url', { type: 'string', requiresArg, group, describe: 'Endpoint, up to and with /v1' })
    .option('api-key-env', {
      type: 'string',
      requiresArg,
      group,
      describe: 'Variable that holds the key (default: OPENAI_API_KEY)',
    })
}

/** What only a training on this machine takes. */
const LOCAL = [
  'rank',
  'alpha',
  'dropout',
  'quantise',
  'allow-generator',
  'sequence-tokens',
  'learning-rate',
  'schedule',
  'micro-batch',
  'patience',
  'validation-share',
  'max-steps',
  'device',
  'processes',
  'threads',
  'precision',
  'checkpoint-steps',
  'gguf',
] as const

/**
 * Refuses options that the endpoint would never hear of: whoever gives one expects another training than is paid for.
 * `defaulted` are the options that nobody gave.
 */
export function checkOpenAiOptions(
  args: Readonly<Record<string, unknown>>,
  defaulted: readonly string[],
): void {
  const given = LOCAL.filter((name) => args[name] !== undefined && !defaulted.includes(name))
  if (given.length === 0) return
  throw new PretextError(
    `expected no ${given.map((name) => (args[name] === false ? `--no-${name}` : `--${name}`)).join(', ')} with --provider openai: the endpoint takes only --epochs, --batch and --seed`,
    { code: 'usage', hint: 'leave these options out, or leave --provider out to train on this machine' },
  )
}

interface OpenAiArguments extends CommonArguments {
  readonly corpus: readonly string[]
  readonly model: string
  readonly out?: string | undefined
  readonly mix?: string | undefined
  readonly seed: number
  readonly epochs?: number | undefined
  readonly batch?: number | undefined
  readonly instruction?: string | undefined
  readonly yes: boolean
  readonly 'max-cost'?: number | undefined
  readonly price?: number | undefined
  readonly suffix?: string | undefined
  readonly 'base-url'?: string | undefined
  readonly 'api-key-env'?: string | undefined
}

export async function finetuneAtOpenAi(args: OpenAiArguments): Promise<void> {
  const { instruction } = args
  if (instruction === undefined) {
    throw new PretextError('expected --instruction, the user turn before each text, got none', {
      code: 'usage',
      hint: 'for example: --instruction "Write a short product review."',
    })
  }
  const { readTrainingCorpus } = await import('../../finetune/corpus.ts')
  const { openAiFineTune } = await import('../../finetune/openai.ts')
  const { openAiCard } = await import('../../finetune/openai-card.ts')
  const { OPENAI_URL } = await import('../../llm/openai-compatible.ts')
  const { writeDurable } = await import('../../durable.ts')
  const output = outputOf(args)
  const corpus = await readTrainingCorpus(args.corpus, { mix: args.mix })
  // What is uploaded leaves for good: texts that no run has made might be the private ones.
  const unknown = corpus.parts.find((part) => part.report === null)
  if (unknown !== undefined && args.mix === undefined) {
    throw new PretextError(
      `${unknown.path}: expected the corpus of a run to upload, got a file without its report`,
      {
        code: 'data',
        hint: 'name the run folder, or say what these texts are with --mix "..."; nothing was uploaded',
      },
    )
  }
  const folder = args.out ?? (await defaultOut(args.corpus[0], 'finetune'))
  const labelled = instruction.includes('{label}')
  const given = Object.entries({
    epochs: args.epochs,
    batchSize: args.batch,
    maxCost: args['max-cost'],
    price: args.price,
    suffix: args.suffix,
    baseUrl: args['base-url'],
    apiKeyEnv: args['api-key-env'],
  }).filter(([, value]) => value !== undefined)
  const tuned = await interruptible(output, (signal) =>
    openAiFineTune({
      ...Object.fromEntries(given),
      rows: corpus.texts.map((text, i) => {
        const label = labelled ? corpus.labels?.[i] : undefined
        return label === undefined ? { text } : { text, label }
      }),
      folder,
      model: args.model,
      instruction,
      seed: args.seed,
      simulation: corpus.simulation,
      confirm: async (estimate) => {
        output.info(estimateText(estimate))
        return args.yes || (await asked(signal))
      },
      onEvent: output.onEvent,
      signal,
    }),
  )
  const card = join(folder, 'README.md')
  const url = args['base-url'] ?? OPENAI_URL
  await writeDurable(card, openAiCard({ tuned, corpus, url, instruction, command: typedCommand() }))
  const { estimate } = tuned
  const rows = [
    ['model', `${tuned.model} (llm.provider: openai, llm.model: this name)`],
    ['job', tuned.jobId],
    ['tokens', String(tuned.trainedTokens ?? estimate.tokens)],
    ['card', shown(card)],
  ]
  output.result(args.quiet ? tuned.model : `\n${table(rows)}`, { folder, card, ...tuned })
}

function estimateText({ model, examples, epochs, tokens, dollars, pricesAsOf }: FineTuneEstimate): string {
  const cost =
    dollars === null
      ? 'its price is not known (give it with --price)'
      : `${dollarsText(dollars)} (${pricesAsOf === 'given' ? 'by --price' : `prices of ${pricesAsOf}`})`
  return `fine-tuning ${model} on ${examples} examples for ${epochs} epochs: about ${tokens.toLocaleString('en-US')} tokens, cost: ${cost}`
}

async function asked(signal: AbortSignal): Promise<boolean> {
  if (process.stdin.isTTY !== true) {
    throw new PretextError('expected --yes, as there is no terminal to ask at', {
      code: 'cost',
      hint: 'nothing was uploaded; --yes pays without a question',
    })
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return /^y(es)?$/i.test(
      (await terminal.question('Upload the synthetic texts and pay? [y/N] ', { signal })).trim(),
    )
  } finally {
    terminal.close()
  }
}
