// pretext account: epsilon from noise, or noise from epsilon. Nothing but arithmetic: it starts as fast as Node does.
import { PretextError } from '../../errors.ts'
import {
  ACCOUNTANTS,
  type Accountant,
  type AccountantName,
  account,
  epsilonOf,
} from '../../privacy/accountant.ts'
import { calibrate } from '../../privacy/calibration.ts'
import { type Adjacency, sensitivityFactor } from '../../privacy/units.ts'
import { eventsSeen, type SampledReleases, viewerEpsilons } from '../../privacy/viewers.ts'
import { defineCommand, outputOf } from '../context.ts'
import { table } from '../output/output.ts'

const NAMES = ['auto', ...ACCOUNTANTS.map(({ name }) => name)] as readonly ('auto' | AccountantName)[]

export const accountCommand = defineCommand({
  command: 'account',
  describe: 'Epsilon from noise, or noise from epsilon',
  builder: (yargs) =>
    yargs
      .option('noise', {
        type: 'number',
        requiresArg: true,
        describe: 'Noise multiplier: sigma / L2 sensitivity under --adjacency',
      })
      .option('epsilon', { type: 'number', requiresArg: true, describe: 'Find the noise for this epsilon' })
      .option('delta', { type: 'number', requiresArg: true, demandOption: true, describe: 'Delta' })
      .option('rounds', {
        type: 'number',
        requiresArg: true,
        demandOption: true,
        describe: 'Number of releases that one client takes part in',
      })
      .option('sampling-rate', {
        type: 'number',
        requiresArg: true,
        default: 1,
        describe: 'Part of the clients that each round draws, in secret',
      })
      .option('sampling', {
        choices: ['poisson', 'fixed'] as const,
        requiresArg: true,
        default: 'poisson' as const,
        describe: 'A coin for each client, or a cohort of fixed size',
      })
      .option('accountant', {
        choices: NAMES,
        requiresArg: true,
        default: 'auto' as const,
        describe: 'auto: the exact one, or the smallest upper bound',
      })
      .option('adjacency', {
        choices: ['add-remove', 'substitution'] as const,
        requiresArg: true,
        describe: 'Which data sets are neighbours',
        defaultDescription: 'add-remove; substitution with --sampling fixed',
      })
      .option('contributions', {
        choices: ['non-negative', 'signed'] as const,
        requiresArg: true,
        default: 'non-negative' as const,
        describe: 'Votes, or updates of a model: substitution costs sqrt 2 or 2',
      })
      .conflicts('noise', 'epsilon')
      .example('$0 account --noise 11.3 --rounds 11 --delta 3e-6', 'What the paper prints as 1.29')
      .example('$0 account --epsilon 4 --rounds 8 --delta 1e-5', 'The noise that 8 rounds need')
      .example(
        '$0 account --noise 1 --rounds 1000 --delta 1e-5 --sampling-rate 0.01',
        'Each round asks one client in a hundred',
      ),
  handler(args) {
    const output = outputOf(args)
    const { delta, rounds, sampling, contributions, 'sampling-rate': rate } = args
    check(delta > 0 && delta < 1, `--delta must lie strictly between 0 and 1, got ${delta}`)
    check(Number.isSafeInteger(rounds) && rounds > 0, `--rounds must be a positive integer, got ${rounds}`)
    check(rate > 0 && rate <= 1, `--sampling-rate must be greater than 0 and at most 1, got ${rate}`)
    check((args.noise === undefined) !== (args.epsilon === undefined), 'expected either --noise or --epsilon')
    for (const flag of ['noise', 'epsilon'] as const) {
      const value = args[flag]
      check(
        value === undefined || (value > 0 && value < Number.POSITIVE_INFINITY),
        `--${flag} must be a number greater than 0, got ${value}`,
      )
    }
    const accounted: Adjacency = sampling === 'fixed' && rate < 1 ? 'substitution' : 'add-remove'
    const adjacency = args.adjacency ?? accounted
    check(
      rate === 1 || adjacency === accounted,
      `--sampling ${sampling} is accounted under ${accounted} adjacency, got --adjacency ${adjacency}`,
    )
    const releasesOf = (noiseMultiplier: number, count = rounds): SampledReleases => ({
      noiseMultiplier,
      adjacency,
      releases: count,
      sampling,
      rate,
      contributions,
    })
    const seen = (noiseMultiplier: number, count = rounds) =>
      eventsSeen(releasesOf(noiseMultiplier, count), 'outside', adjacency)
    const named = ACCOUNTANTS.find(({ name }) => name === args.accountant)
    const refusal = named?.refusal(seen(1), adjacency)
    check(refusal === undefined, `--accountant ${args.accountant} cannot answer: ${refusal}`)

    const search: Pick<Accountant, 'epsilon'> = named ?? { epsilon: epsilonOf }
    const noiseMultiplier =
      args.noise ??
      calibrate(search, { epsilon: args.epsilon as number, delta, adjacency }, (noise) => seen(noise))
    const views = viewerEpsilons(releasesOf(noiseMultiplier), delta, named)
    const epsilon = views.outside[adjacency] as number
    const used = named ?? account(seen(noiseMultiplier), delta, adjacency).accountant
    // Where one formula is exact, the distribution would only find it again, slowly.
    const shownBeside = (one: Accountant) => used.name !== 'analytic' || one.name !== 'pld'
    const sides = ACCOUNTANTS.filter((one) => (named === undefined ? shownBeside(one) : one === named)).map(
      (one) => ({
        accountant: one.name,
        method: one.method,
        epsilon:
          one.refusal(seen(noiseMultiplier), adjacency) === undefined
            ? one.epsilon(seen(noiseMultiplier), delta, adjacency)
            : undefined,
      }),
    )
    // One after the other is cheap only where the answer is a formula.
    const steps = used.name === 'analytic' ? milestones(rounds) : []
    const after = steps.map((count) => used.epsilon(seen(noiseMultiplier, count), delta, adjacency))

    const factor = sensitivityFactor('substitution', contributions) === 2 ? '2' : 'sqrt 2'
    const lines = [
      table([
        [
          'noise multiplier',
          `${(Math.ceil(noiseMultiplier * 1e6 - 1e-6) / 1e6).toFixed(6)} x L2 sensitivity under ${adjacency}`,
        ],
        [
          'rounds',
          rate === 1
            ? `${rounds}, every client in each`
            : `${rounds}, each with ${sampling} sampling at rate ${rate}`,
        ],
        [
          'epsilon',
          `${shown(epsilon)} (${adjacency}${rate === 1 ? '' : ', against those who do not see who took part'})`,
        ],
        ['delta', String(delta)],
        ...(after.length === 0
          ? []
          : [
              [
                steps.length === rounds ? 'after each round' : `after ${steps.join(', ')} rounds`,
                after.map((e) => e.toFixed(3)).join(' '),
              ],
            ]),
        ['accountant', used.method],
      ]),
      '',
      table([
        ['epsilon against', 'add-remove', 'substitution'],
        ...(rate === 1
          ? [['everybody', shown(views.outside['add-remove']), shown(views.outside.substitution)]]
          : [
              [
                'outside: does not see who took part',
                shown(views.outside['add-remove']),
                shown(views.outside.substitution),
              ],
              [
                'coordinator: sees it (q = 1)',
                shown(views.coordinator['add-remove']),
                shown(views.coordinator.substitution),
              ],
            ]),
      ]),
      `substitution of ${contributions} contributions: sensitivity x ${factor}${rate < 1 && sampling === 'poisson' ? '; outside, it claims nothing of the sampling' : ''}`,
      '',
      table([['accountant', 'epsilon'], ...sides.map((side) => [side.accountant, shown(side.epsilon)])]),
    ]
    output.result(lines.join('\n'), {
      noiseMultiplier,
      adjacency,
      contributions,
      delta,
      rounds,
      sampling: rate === 1 ? 'none' : sampling,
      samplingRate: rate,
      epsilon,
      substitution: views.outside.substitution,
      outside: withNulls(views.outside),
      coordinator: withNulls(views.coordinator),
      perRound: steps.length === rounds ? after : undefined,
      accountant: used.method,
      accountants: Object.fromEntries(sides.map((side) => [side.accountant, side.epsilon ?? null])),
    })
  },
})

function check(condition: boolean, message: string): void {
  if (!condition)
    throw new PretextError(message, { code: 'usage', hint: '"pretext account --help" has examples' })
}

function shown(epsilon: number | undefined): string {
  return epsilon === undefined ? '-' : epsilon.toFixed(6)
}

function withNulls(epsilons: Readonly<Record<Adjacency, number | undefined>>) {
  return { addRemove: epsilons['add-remove'] ?? null, substitution: epsilons.substitution ?? null }
}

/** Every round if they are few; 1, 2, 5, 10, ... and the last otherwise. */
function milestones(rounds: number): readonly number[] {
  if (rounds <= 50) return Array.from({ length: rounds }, (_, i) => i + 1)
  const steps: number[] = []
  for (let power = 1; power < rounds; power *= 10) steps.push(power, 2 * power, 5 * power)
  return [...steps.filter((step) => step < rounds), rounds]
}
