// pretext audit [CONFIG]: does the deployed noise path keep its claim? --corpus: can members be told from the corpus?
import type { Setting } from '../../audit/noise-path.ts'
import type { LoadedConfig } from '../../config/load.ts'
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf, overrides } from '../context.ts'
import { corpusFailure, corpusTable, noiseFailure, noiseTable } from '../output/audit.ts'
import { type Output, shown } from '../output/output.ts'

export const auditCommand = defineCommand({
  command: 'audit [config]',
  describe: 'Measure the privacy of the noise path, or of corpora (--corpus)',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        describe: 'Config file (YAML): its votes, bound, noise and rounds are audited',
      })
      .option('set', overrides('Override a key'))
      .option('noise', {
        type: 'number',
        requiresArg: true,
        describe: 'Noise multiplier, instead of the one that follows from the config',
      })
      .option('rounds', { type: 'number', requiresArg: true, describe: 'Releases that are composed' })
      .option('delta', { type: 'number', requiresArg: true, describe: 'Delta' })
      .option('samples', {
        type: 'number',
        requiresArg: true,
        default: 4_000_000,
        describe: 'Noise draws; the more, the closer the bound comes to the claim',
      })
      .option('view', {
        choices: ['coordinator', 'outsiders', 'leader', 'helper'] as const,
        default: 'coordinator' as const,
        describe: 'Whose eyes: of trusted aggregation, or of each who could be curious about two servers',
      })
      .option('corpus', {
        type: 'boolean',
        default: false,
        describe: 'Audit corpora instead: pairs of runs with canaries (only with data.simulation: true)',
      })
      .option('pairs', { type: 'number', requiresArg: true, default: 4, describe: '--corpus: pairs of runs' })
      .option('canaries', {
        type: 'number',
        requiresArg: true,
        default: 8,
        describe: '--corpus: canaries in each run',
      })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: '--corpus: folder of the audit (default: <output.folder>/audit-<name>-<time>)',
      })
      .example('$0 audit configs/quickstart.yaml', 'The noise path as this config uses it')
      .example('$0 audit --noise 1 --delta 3e-6', 'One release with this noise; no config needed')
      .example('$0 audit my.yaml --view leader', 'What a curious leader of two servers sees')
      .example(
        '$0 audit --corpus my.yaml',
        'Can members be told from the corpus? With data.simulation: true',
      ),
  async handler(args) {
    const output = outputOf(args)
    if (args.corpus) return auditTheCorpora(args, output)
    const { auditNoise } = await import('../../audit/audit-noise.ts')
    const { setting, delta } = await settingOf(args)
    const audit = await uninterrupted(output, (signal) =>
      auditNoise({
        ...setting,
        delta,
        samples: args.samples,
        view: args.view,
        onEvent: output.onEvent,
        signal,
      }),
    )
    finish(output, noiseTable(audit), { audit }, noiseFailure(audit))
  },
})

/** Nothing of an audit is kept when it is stopped. */
function uninterrupted<T>(output: Output, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return interruptible(output, (signal) =>
    work(signal).catch((error) => {
      if (!signal.aborted) throw error
      throw new PretextError('stopped; what an audit has measured so far is not kept', {
        code: 'interrupted',
      })
    }),
  )
}

/** With --json a failed audit is one object too: the error, with the audit in it. */
function finish(
  output: Output,
  text: string,
  object: Record<string, unknown>,
  failure: PretextError | undefined,
): void {
  output.close()
  if (failure === undefined || !output.json) output.result(text, object)
  if (failure !== undefined) throw failure
}

async function auditTheCorpora(args: CorpusArguments, output: Output): Promise<void> {
  if (args.config === undefined) {
    throw new PretextError('audit --corpus expects a config', {
      code: 'usage',
      hint: '"pretext audit --corpus my.yaml", with data.simulation: true in it',
    })
  }
  const { loadConfig } = await import('../../config/load.ts')
  const { auditCorpora } = await import('../../audit/audit-corpora.ts')
  const loaded = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
  const out = args.out ?? auditFolder(loaded)
  const { pairs, canaries } = args
  const audit = await uninterrupted(output, (signal) =>
    auditCorpora(loaded, { pairs, canaries, out, onEvent: output.onEvent, signal }),
  )
  finish(
    output,
    `${corpusTable(audit)}\n\nruns and audit.json in ${shown(out)}`,
    { audit, folder: out },
    corpusFailure(audit),
  )
}

function auditFolder({ config, path }: LoadedConfig): string {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-')
  return path(`${config.output.folder}/audit-${config.name}-${time}`)
}

interface CorpusArguments {
  readonly config?: string | undefined
  readonly set?: string[] | undefined
  readonly pairs: number
  readonly canaries: number
  readonly out?: string | undefined
}

interface AuditArguments {
  readonly config?: string | undefined
  readonly set?: string[] | undefined
  readonly noise?: number | undefined
  readonly rounds?: number | undefined
  readonly delta?: number | undefined
}

/** What is audited: the config's own path, changed where an option says so; without a config, the default votes. */
async function settingOf(args: AuditArguments): Promise<{ setting: Setting; delta: number }> {
  const { voteBound } = await import('../../histogram/bound.ts')
  const { noise, rounds } = args
  if (args.config === undefined) {
    if (noise === undefined || args.delta === undefined) {
      throw new PretextError('expected a config, or --noise and --delta', {
        code: 'usage',
        hint: '"pretext audit configs/quickstart.yaml", or "pretext audit --noise 1 --delta 3e-6"',
      })
    }
    const vote = { mode: 'normalised', maxTextsPerClient: 8, neighbours: 1 } as const
    const own = { vote, bound: voteBound(vote), adjacency: 'add-remove', noiseMultiplier: noise } as const
    return { setting: { ...own, rounds: rounds ?? 1 }, delta: args.delta }
  }
  const { loadConfig } = await import('../../config/load.ts')
  const { planNoise } = await import('../../run/noise.ts')
  const { voteOptions } = await import('../../run/local-steps.ts')
  const { config } = await loadConfig(args.config, args.set === undefined ? {} : { set: args.set })
  const plan = planNoise(config)
  const { mechanism } = plan
  if (noise === undefined && mechanism.type !== 'gaussian') {
    throw new PretextError('expected noise to audit, got epsilon infinite: exact votes are released', {
      code: 'config',
      hint: 'name a noise multiplier with --noise, or a finite privacy.epsilon',
    })
  }
  const vote = voteOptions(config)
  return {
    setting: {
      vote,
      bound: voteBound(vote),
      adjacency: config.privacy.adjacency,
      noiseMultiplier: noise ?? (mechanism.type === 'gaussian' ? mechanism.noiseMultiplier : Number.NaN),
      rounds: rounds ?? plan.releases,
    },
    delta: args.delta ?? config.privacy.delta,
  }
}
