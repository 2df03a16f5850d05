// pretext evaluate CORPUS: figures of a run's corpus, and of models trained on it, against texts of consented clients.
import { PretextError } from '../../errors.ts'
import type { EvaluationReport } from '../../report/evaluation-data.ts'
import type { Metric } from '../../report/evaluation-metrics.ts'
import { defineCommand, interruptible, outputOf, overrides } from '../context.ts'
import { shown, table } from '../output/output.ts'

export const evaluateCommand = defineCommand({
  command: 'evaluate <corpus>',
  describe: 'How good a corpus is: next tokens, fidelity, diversity and labels, on consented texts',
  builder: (yargs) =>
    yargs
      .positional('corpus', {
        type: 'string',
        demandOption: true,
        describe: 'Folder of a finished run, or a corpus file with --config',
      })
      .option('model', {
        type: 'string',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'Model trained on it: FOLDER, or NAME=FOLDER; again for more seeds or other corpora',
      })
      .option('also', {
        type: 'string',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe:
          'Folder of a run of the same settings with another seed: means and intervals are over all of them',
      })
      .option('texts', {
        choices: ['consented', 'simulation'] as const,
        default: 'consented' as const,
        describe: 'Real texts to measure against; private texts never are',
      })
      .option('config', {
        type: 'string',
        requiresArg: true,
        describe: 'Config with these texts (default: the one that the run was made with)',
      })
      .option('set', overrides('Override a key of --config'))
      .option('metrics', {
        type: 'string',
        array: true,
        choices: ['next-token', 'fidelity', 'diversity', 'classifier'] as const,
        describe: 'What to measure (default: all that is possible)',
      })
      .option('expand-only', {
        type: 'boolean',
        default: false,
        describe: 'Also make and compare a corpus from the initial population without votes (asks the LLM)',
      })
      .option('sample', {
        type: 'number',
        default: 2000,
        requiresArg: true,
        describe: 'Most texts in a column; all columns are cut to the smallest',
      })
      .option('resamples', {
        type: 'number',
        default: 1000,
        requiresArg: true,
        describe: 'Draws for the intervals, at most',
      })
      .option('seed', { type: 'number', default: 0, requiresArg: true, describe: 'Of samples and draws' })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder of the report (default: evaluation, in the run)',
      })
      .example('$0 evaluate runs/mine', 'Fidelity and diversity of the corpus of a run')
      .example(
        '$0 evaluate runs/mine --model runs/mine/model --expand-only',
        'With a trained model, and the corpus that needs no votes',
      ),
  async handler(args) {
    const { evaluate } = await import('../../run/evaluate.ts')
    const { COLUMN_METRICS, MODEL_METRICS } = await import('../../report/evaluation-metrics.ts')
    const { COLUMN_TITLES, figureText } = await import('../../report/evaluation-page.ts')
    const output = outputOf(args)
    checkCounts(args)
    const { report, json, html } = await interruptible(output, (signal) =>
      evaluate({
        corpus: args.corpus,
        texts: args.texts,
        expandOnly: args['expand-only'],
        sample: args.sample,
        resamples: args.resamples,
        seed: args.seed,
        models: args.model ?? [],
        also: args.also ?? [],
        ...(args.config === undefined ? {} : { config: args.config }),
        ...(args.set === undefined ? {} : { set: args.set }),
        ...(args.metrics === undefined ? {} : { metrics: args.metrics }),
        ...(args.out === undefined ? {} : { out: args.out }),
        onEvent: output.onEvent,
        signal,
      }),
    )
    const rows = (metrics: readonly Metric[], columns: readonly { name: string; figures: Figures }[]) =>
      columns.length === 0
        ? []
        : [
            ['', ...columns.map(({ name }) => COLUMN_TITLES[name] ?? name)],
            ...metrics
              .filter(({ id }) => columns.some(({ figures }) => figures[id] !== undefined))
              .map((metric) => [
                metric.title,
                ...columns.map(({ figures }) => {
                  const known = figures[metric.id]
                  if (known === undefined) return 'none'
                  const text = (value: number) => figureText(metric, value)
                  return `${text(known.value)} (${text(known.low)} to ${text(known.high)})`
                }),
              ]),
          ]
    const tables = [rows(MODEL_METRICS, report.models), rows(COLUMN_METRICS, report.columns)]
    const text = tables.filter((each) => each.length > 0).map((each) => table(each))
    output.result([...text, sizes(report), shown(html)].join('\n\n'), {
      report: html,
      evaluation: json,
      metrics: corpusFigures(report),
      columns: report.columns,
      models: report.models,
      reference: report.reference,
      simulation: report.simulation,
      warnings: report.warnings,
    })
  },
})

export interface CountArguments {
  readonly sample: number
  readonly resamples: number
  readonly seed: number
}

/** @throws PretextError `usage`; a batch asks before its first job */
export function checkCounts(args: CountArguments): void {
  for (const [name, least] of [
    ['sample', 1],
    ['resamples', 2],
    ['seed', 0],
  ] as const) {
    if (Number.isInteger(args[name]) && args[name] >= least) continue
    throw new PretextError(`expected --${name} to be a whole number from ${least} up, got ${args[name]}`, {
      code: 'usage',
    })
  }
}

type Figures = EvaluationReport['columns'][number]['figures']

/** The figures of the corpus and of its models, as numbers by name: one row of a table. */
function corpusFigures(report: EvaluationReport): Record<string, number> {
  const own = [...report.models, ...report.columns].filter(({ name }) => name === 'corpus')
  return Object.fromEntries(
    own.flatMap(({ figures }) => Object.entries(figures).map(([id, { value }]) => [id, value])),
  )
}

function sizes({ reference, columns, models, simulation }: EvaluationReport): string {
  const compared = columns[0]?.compared
  const sets = Math.max(1, ...columns.map((column) => column.sets ?? 1))
  const lines = [
    `95% intervals over ${reference.clients} ${reference.kind} clients with ${reference.texts} texts`,
    ...(compared === undefined
      ? []
      : [
          `each ${sets > 1 ? `of ${sets} corpora` : 'column'} cut to ${compared} texts, against ${reference.comparedTexts} real ones`,
        ]),
    ...models.map(
      ({ name, models: folders, tokens }) =>
        `${name}: ${folders.length} ${folders.length === 1 ? 'model' : 'models'}, ${tokens} tokens told`,
    ),
  ]
  return `${simulation ? 'SIMULATION: figures of texts that were declared free for experiments.\n' : ''}${lines.join('; ')}`
}
