// pretext compare CONFIG: all arms at all epsilons over one simulation data set, tuned alike, with one report.
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { comparisonTable } from '../output/comparison.ts'
import { shown } from '../output/output.ts'
import { typedCommand } from './training-options.ts'

export const compareCommand = defineCommand({
  command: 'compare <config>',
  describe: 'PrE-Text beside training on the devices and other baselines, at one epsilon (simulation texts)',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        demandOption: true,
        describe: 'File of the comparison (YAML, docs/comparison.md)',
      })
      .option('arm', {
        type: 'string',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'Only this arm of the file; again for more. Other processes may do others at the same time',
      })
      .option('done', {
        type: 'boolean',
        default: false,
        describe: 'Only a report of what is done; nothing is run',
      })
      .example('$0 compare configs/compare.yaml', 'All arms and seeds; again to go on after a stop')
      .example('$0 compare configs/compare.yaml --arm pretext --arm dp-fedavg', 'Two of its arms'),
  async handler(args) {
    const { loadCompare } = await import('../../compare/config.ts')
    const { compare } = await import('../../compare/compare.ts')
    const output = outputOf(args)
    const config = await loadCompare(args.config)
    const arms = args.arm ?? Object.keys(config.arms)
    const missing = arms.filter((name) => config.arms[name] === undefined)
    if (missing.length > 0) {
      throw new PretextError(`${args.config}: expected the arm ${missing[0]} among its arms, found none`, {
        code: 'usage',
        hint: `it has ${Object.keys(config.arms).join(', ')}`,
      })
    }
    const chosen = Object.fromEntries(arms.map((name) => [name, config.arms[name]]))
    const { report, json, html } = await interruptible(output, (signal) =>
      compare(
        { ...config, arms: chosen as typeof config.arms },
        {
          command: typedCommand(),
          onEvent: output.onEvent,
          signal,
          doneOnly: args.done,
        },
      ),
    )
    const failed = report.rows.filter((row) => row.failed !== null)
    if (failed.length === 0 || !args.json) {
      output.result([comparisonTable(report), '', shown(html)].join('\n'), {
        report: html,
        comparison: json,
        rows: report.rows,
        clients: report.clients,
        warnings: report.warnings,
      })
    }
    if (failed.length > 0) {
      throw new PretextError(
        `${failed.length} of ${report.rows.length} rows are not whole; the others are done`,
        {
          code: 'batch',
          hint: `${failed.map((row) => `${row.arm}: ${row.failed?.message}`).join('; ')}. Run again to try them again`,
        },
      )
    }
  },
})
