// pretext baseline [ARM] [CONFIG]: one arm of a comparison alone, or what arms there are and what may be set of them.
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { armTables } from '../output/arm-tables.ts'
import { comparisonTable } from '../output/comparison.ts'
import { shown, table } from '../output/output.ts'
import { typedCommand } from './training-options.ts'

const PROMISES = {
  client: 'DP for a client',
  text: 'local DP for a text',
  public: 'no private text',
  none: 'no DP guarantee',
} as const

export const baselineCommand = defineCommand({
  command: 'baseline [arm] [config]',
  describe: 'One way to use private texts, alone: DP-FedAvg, DP-FTRL, ... (without an arm: list them)',
  builder: (yargs) =>
    yargs
      .positional('arm', {
        type: 'string',
        describe: 'Its name; without a config: its settings and its grid',
      })
      .positional('config', { type: 'string', describe: 'File of a comparison (docs/comparison.md)' })
      .option('epsilon', {
        type: 'number',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'Instead of those of the file; again for more; Infinity for no noise',
      })
      .option('seed', {
        type: 'number',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'Instead of those of the file; again for more',
      })
      .example('$0 baseline', 'All arms')
      .example('$0 baseline dp-fedavg', 'Its settings, and what tuning tries')
      .example('$0 baseline dp-fedavg configs/compare.yaml --epsilon 7.58 --seed 0', 'One run of it'),
  async handler(args) {
    const { ARMS, armOf } = await import('../../compare/registry.ts')
    const output = outputOf(args)
    if (args.arm === undefined) {
      const rows = ARMS.map(({ name, guarantee, about }) => [name, PROMISES[guarantee], about])
      output.result(table([['arm', 'promise', 'what it does'], ...rows]), {
        arms: ARMS.map(({ name, guarantee, epsilons, about }) => ({ name, guarantee, epsilons, about })),
      })
      return
    }
    const arm = armOf(args.arm)
    if (args.config === undefined) {
      const { z } = await import('zod')
      const schema = z.toJSONSchema(arm.settings, { io: 'input', unrepresentable: 'any' })
      const properties = (schema.properties ?? {}) as Record<string, { default?: unknown }>
      const rows = Object.entries(properties).map(([key, value]) => [
        key,
        value.default === undefined ? '' : JSON.stringify(value.default),
        JSON.stringify(arm.grid[key]) ?? '',
      ])
      output.result(
        `${arm.name}: ${arm.about}\n\n${rows.length === 0 ? 'It has no settings.' : table([['setting', 'default', 'tuning tries'], ...rows])}`,
        { arm: arm.name, guarantee: arm.guarantee, about: arm.about, settings: schema, grid: arm.grid },
      )
      return
    }
    const { loadCompare } = await import('../../compare/config.ts')
    const { compare } = await import('../../compare/compare.ts')
    const config = await loadCompare(args.config)
    const { epsilon = config.epsilons, seed = config.seeds } = args
    if (epsilon.some((value) => !(value > 0))) {
      throw new PretextError(`expected --epsilon to be greater than 0, got ${epsilon.join(', ')}`, {
        code: 'usage',
      })
    }
    if (seed.some((value) => !(Number.isInteger(value) && value >= 0))) {
      throw new PretextError(`expected --seed to be a whole number from 0 up, got ${seed.join(', ')}`, {
        code: 'usage',
      })
    }
    const one = config.arms[arm.name] ?? { settings: {} }
    const { report, json } = await interruptible(output, (signal) =>
      compare(
        { ...config, epsilons: [...epsilon], seeds: [...seed], arms: { [arm.name]: one } },
        { command: typedCommand(), onEvent: output.onEvent, signal, report: `baseline-${arm.name}` },
      ),
    )
    const failed = report.rows.find((row) => row.failed !== null)?.failed
    if (failed != null) {
      throw new PretextError(`${arm.name}: ${failed.part}: ${failed.message}`, {
        code: 'batch',
        hint: 'run the same command again: finished parts are not done again',
      })
    }
    output.result([comparisonTable(report), ...armTables(report), '', shown(json)].join('\n'), {
      comparison: json,
      rows: report.rows,
      warnings: report.warnings,
    })
  },
})
