// pretext plan CONFIG: privacy, calls, tokens, money, time and disk, before anything is spent.
import { exactDuration } from '../../report/figures.ts'
import type { Range } from '../../run/plan.ts'
import { defineCommand, outputOf, overrides } from '../context.ts'
import { bytes, table } from '../output/output.ts'
import { number } from '../output/progress.ts'

export const planCommand = defineCommand({
  command: 'plan <config>',
  describe: 'What a run will spend: epsilon, calls, tokens, money, time, disk',
  builder: (yargs) =>
    yargs
      .positional('config', { type: 'string', demandOption: true, describe: 'Config file (YAML)' })
      .option('set', overrides('Override a key')),
  async handler(args) {
    const { loadConfig } = await import('../../config/load.ts')
    const { planRun } = await import('../../run/plan.ts')
    const loaded = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
    const { privacy, llm, data, histogram } = loaded.config
    const plan = await planRun(loaded)
    const { noise } = plan
    const count = (range: Range) => `${integer(range.low)} to ${integer(range.high)}`
    const rows = [
      [
        'epsilon',
        `${number(noise.epsilon)} at delta ${privacy.delta} (unit ${privacy.unit}, ${privacy.adjacency})`,
      ],
      ['', `${number(noise.other.epsilon)} under ${noise.other.adjacency}`],
      ['after each release', plan.epsilonPerRelease.map((epsilon) => number(epsilon)).join(' ')],
      [
        'noise',
        noise.mechanism.type === 'exact'
          ? 'none (simulation)'
          : `multiplier ${noise.mechanism.noiseMultiplier.toFixed(4)}: sigma ${plan.sigmaVotes.toFixed(2)} votes on each candidate (${histogram.vote})`,
      ],
      [
        'ledger',
        `data set ${data.dataset}${privacy.budget === undefined ? ', no budget set' : `, budget ${privacy.budget.epsilon} at delta ${privacy.budget.delta}`}`,
      ],
    ]
    const stages = [
      ['stage', 'calls', 'prompt tokens', 'new tokens'],
      ...plan.stages.map((s) => [
        s.stage,
        count(s.calls),
        `~${s.promptTokens} each`,
        `~${s.completionTokens} each`,
      ]),
      ['all', count(plan.calls), `~${count(plan.promptTokens)}`, `~${count(plan.completionTokens)}`],
    ]
    const { dollars, seconds } = plan
    const rest = [
      ['model', `${llm.model} (${llm.provider})`],
      [
        'money',
        dollars === null
          ? 'unknown: no price for this model (set llm.price)'
          : dollars.high === 0
            ? 'none: the model is embedded'
            : `$${dollars.low.toFixed(2)} to $${dollars.high.toFixed(2)} (prices of ${dollars.pricesAsOf}; override with llm.price)`,
      ],
      [
        'LLM time',
        seconds === null
          ? 'depends on the endpoint'
          : `about ${exactDuration(seconds.low)} to ${exactDuration(seconds.high)} (estimate for two cores)`,
      ],
      ['disk', `about ${bytes(plan.diskBytes)}`],
    ]
    const text = `${table(rows)}\n\n${table(stages)}\n\n${table(rest)}\n\nThe first number: every text is usable at once. The second: every retry is needed.`
    outputOf(args).result(text, { ...plan })
  },
})

function integer(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
