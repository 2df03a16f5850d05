// pretext audit [CONFIG]: does the deployed noise path keep its claim? --corpus: can members be told from the corpus?
import type { NoiseAudit } from '../../audit/audit-noise.ts'
import type { Setting } from '../../audit/noise-path.ts'
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { duration, table } from '../output/output.ts'
import { number } from '../output/progress.ts'

export const auditCommand = defineCommand({
  command: 'audit [config]',
  describe: 'Measure the privacy of the noise path, or of corpora (--corpus)',
  builder: (yargs) =>
    yargs
      .positional('config', {
        type: 'string',
        describe: 'Config file (YAML): its votes, bound, noise and rounds are audited',
      })
      .option('set', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        describe: 'Override a key',
      })
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
        default: 1_000_000,
        describe: 'Noise draws; the more, the closer the bound comes to the claim',
      })
      .example('$0 audit configs/quickstart.yaml', 'The noise path as this config uses it')
      .example('$0 audit --noise 1 --delta 3e-6', 'One release with this noise; no config needed'),
  async handler(args) {
    const output = outputOf(args)
    const { auditNoise } = await import('../../audit/audit-noise.ts')
    const { setting, delta } = await settingOf(args)
    const result = await interruptible(output, (signal) =>
      auditNoise({ ...setting, delta, samples: args.samples, onEvent: output.onEvent, signal }).catch(
        (error) => {
          if (!signal.aborted) throw error
          throw new PretextError('stopped; an audit keeps nothing', { code: 'interrupted' })
        },
      ),
    )
    output.close()
    const failure = failureOf(result)
    if (failure === undefined) {
      output.result(noiseTable(result), { audit: result })
      return
    }
    if (!args.json) output.result(noiseTable(result), {})
    throw failure
  },
})

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

const percent = (share: number) => `${Number((100 * share).toFixed(3))} %`
const count = (value: number) => value.toLocaleString('en-US')

function noiseTable(result: NoiseAudit): string {
  const { claim, delta, epsilon, mu, floor, trials } = result
  const sure = `with ${percent(result.confidence)} confidence`
  const rows = [
    ['path', `clip, sum and exact noise, as in a release (${result.vote} votes, ${result.adjacency})`],
    [
      'noise',
      `multiplier ${result.noiseMultiplier.toFixed(4)}, ${result.rounds} ${result.rounds === 1 ? 'release' : 'releases'} composed`,
    ],
    ['claim', `epsilon ${number(claim.epsilon)} at delta ${delta} (mu ${number(claim.mu)})`],
    [
      'shown',
      epsilon === null
        ? 'nothing: the path refused the vote'
        : `epsilon is at least ${number(epsilon.bound)} at this delta, ${sure}, whatever the mechanism`,
    ],
    ...(mu === null
      ? []
      : [['', `mu is at least ${number(mu.bound)}, ${sure}: the claimed curve over all deltas`]]),
    [
      'floor',
      floor === 0
        ? 'none: so few samples show nothing of so much noise'
        : `${number(floor)}: 99 of 100 honest paths show at least this, ${number(result.typical)} on average`,
    ],
    [
      'samples',
      `${count(result.samples)} draws in ${count(result.releases)} releases, ${duration(result.seconds)}; the answer rests on ${count(trials.with)} trials with the client and ${count(trials.without)} without`,
    ],
    ['verdict', VERDICTS[result.verdict]],
  ]
  return table(rows)
}

const VERDICTS: Readonly<Record<NoiseAudit['verdict'], string>> = {
  pass: 'pass: nothing contradicts the claim, and faults that matter would have been seen',
  'above-claim': 'FAIL: less private than claimed',
  refused: 'FAIL: the clip lets votes over the bound through',
  'below-floor': 'FAIL: the audit saw less than an honest path shows',
}

function failureOf(result: NoiseAudit): PretextError | undefined {
  const { claim, delta, epsilon, mu, broken, floor } = result
  const sure = `with ${percent(result.confidence)} confidence`
  const fail = (message: string, hint: string) =>
    new PretextError(message, { code: 'audit', hint, details: { audit: result } })
  switch (result.verdict) {
    case 'pass':
      return undefined
    case 'refused':
      return fail(
        'the noise path refused a vote that its own clip made: the clip does not hold the L2 bound',
        'release nothing with this build, and report it',
      )
    case 'below-floor':
      return fail(
        `the audit shows epsilon ${number(epsilon?.bound ?? 0)}, below the floor of ${number(floor)} that honest paths reach`,
        'one honest run in a hundred falls below it: run again; if it stays there, the noise is not what the config says',
      )
    case 'above-claim': {
      const byEpsilon = (epsilon?.bound ?? 0) > claim.epsilon
      const where =
        broken === null
          ? ''
          : `; at delta ${broken.delta.toPrecision(2)} epsilon is at least ${number(broken.epsilon)}, claimed ${number(broken.claim)}`
      return fail(
        byEpsilon
          ? `less private than claimed: ${sure}, epsilon is at least ${number(epsilon?.bound ?? 0)} at delta ${delta}, claimed ${number(claim.epsilon)}`
          : `less private than claimed: ${sure}, mu is at least ${number(mu?.bound ?? 0)}, claimed ${number(claim.mu)}${where}`,
        `release nothing with this build, and report it; seen by: ${ATTACK_WORDS[(byEpsilon ? epsilon : mu)?.attack ?? 'votes']}`,
      )
    }
  }
}

const ATTACK_WORDS: Readonly<Record<'votes' | 'candidates' | 'releases', string>> = {
  votes: "the client's own candidates",
  candidates: "the client's candidates compared with others of the same release",
  releases: "the client's candidates compared between releases",
}
