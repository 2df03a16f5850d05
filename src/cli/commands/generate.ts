// pretext generate CONFIG: the whole job.
import type { LoadedConfig } from '../../config/load.ts'
import { PretextError } from '../../errors.ts'
import { exactDuration } from '../../report/figures.ts'
import { defineCommand, interruptible, outputOf, overrides } from '../context.ts'
import { shown, table } from '../output/output.ts'
import { number } from '../output/progress.ts'

export const generateCommand = defineCommand({
  command: 'generate <config>',
  describe: 'Make a differentially private corpus: the whole job',
  builder: (yargs) =>
    yargs
      .positional('config', { type: 'string', demandOption: true, describe: 'Config file (YAML)' })
      .option('set', overrides('Override a key: --set evolution.rounds=3'))
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'Folder of the run (default: <output.folder>/<name>-<time>)',
      })
      .option('resume', {
        type: 'string',
        describe: 'Go on with the latest unfinished run, or with --resume ID',
      })
      .option('max-cost', {
        type: 'number',
        requiresArg: true,
        describe: 'Stop before anything is spent if the LLM could cost more (US dollars)',
      })
      .example('$0 generate configs/quickstart.yaml', 'The example, with the embedded models')
      .example('$0 generate my.yaml --resume', 'Go on after Ctrl-C, a crash or a full disk'),
  async handler(args) {
    const { loadConfig } = await import('../../config/load.ts')
    const { generate } = await import('../../run/generate.ts')
    const { planNoise } = await import('../../run/noise.ts')
    const { formatOwnerCounts } = await import('../../texts/terminal.ts')
    const output = outputOf(args)
    const loaded = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
    const { data, privacy } = loaded.config
    if (args['max-cost'] !== undefined) await checkCost(loaded, args['max-cost'])
    const noise = planNoise(loaded.config)
    const noiseText =
      noise.mechanism.type === 'exact'
        ? 'no noise (simulation)'
        : `noise multiplier ${noise.mechanism.noiseMultiplier.toFixed(4)}`
    output.info(
      `data set ${data.dataset}: epsilon ${number(noise.epsilon)} at delta ${privacy.delta} will be spent (unit ${privacy.unit}, ${privacy.adjacency}; ${noise.releases} releases, ${noiseText})`,
    )
    const result = await interruptible(output, (signal) =>
      generate(loaded, {
        ...(args.out === undefined ? {} : { out: args.out }),
        // A run can be named on the command line or the latest one taken: --resume alone is the empty string.
        ...(args.resume === undefined ? {} : { resume: args.resume === '' ? true : args.resume }),
        onEvent: output.onEvent,
        signal,
        // Exact counts are for the owner's own terminal: never with --json, never into a pipe or a log.
        ...(process.stderr.isTTY === true && !args.json
          ? {
              onOwnerCounts: (counts) =>
                output.info(`private texts (only you see this): ${formatOwnerCounts(counts)}`),
            }
          : {}),
        command: commandLine(args),
      }),
    )
    const { report } = result
    const rows = [
      ['corpus', `${report.corpus.texts} texts in ${shown(result.corpus)}`],
      ['report', shown(result.reportFile)],
      [
        'spent',
        `epsilon ${number(report.privacy.epsilon)} at delta ${report.privacy.delta} (unit ${report.privacy.unit}, ${report.privacy.adjacency}; ${report.privacy.other.adjacency}: ${number(report.privacy.other.epsilon)})`,
      ],
      [
        'data set',
        `${report.run.dataset} has spent epsilon ${number(report.privacy.dataset.epsilon)} in ${report.privacy.dataset.releases} releases of ${report.privacy.dataset.runs} ${report.privacy.dataset.runs === 1 ? 'run' : 'runs'}, by ${shown(result.ledger)}`,
      ],
      ['time', exactDuration(report.run.seconds)],
    ]
    const text = `\n${table(rows)}`
    output.result(args.quiet ? result.corpus : text, {
      folder: result.folder,
      corpus: result.corpus,
      report: result.reportFile,
      ledger: result.ledger,
      texts: report.corpus.texts,
      privacy: report.privacy,
      seconds: report.run.seconds,
      warnings: report.warnings,
    })
  },
})

function commandLine(args: { config: string; set?: string[] | undefined }): string {
  const set = (args.set ?? []).map((s) => ` --set ${/[\s"'{}[\]]/.test(s) ? JSON.stringify(s) : s}`)
  return `pretext generate ${shown(args.config)}${set.join('')}`
}

/** Refuses before anything is spent, by the upper end of the plan. */
async function checkCost(loaded: LoadedConfig, limit: number): Promise<void> {
  const { planRun } = await import('../../run/plan.ts')
  const { dollars } = await planRun(loaded)
  const hint = '"pretext plan" shows where it goes; ask for fewer texts or rounds, or raise --max-cost'
  if (dollars === null) {
    throw new PretextError(
      `the price of ${loaded.config.llm.model} is not known, so --max-cost cannot be held`,
      {
        code: 'cost',
        hint: 'set llm.price in the config (US dollars per million tokens, input and output)',
      },
    )
  }
  if (dollars.high > limit) {
    throw new PretextError(`the run could cost up to $${dollars.high.toFixed(2)}, over --max-cost ${limit}`, {
      code: 'cost',
      hint,
    })
  }
}
