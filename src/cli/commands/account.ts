// pretext account: epsilon from noise, or noise from epsilon. Nothing but arithmetic: it starts as fast as Node does.
import { PretextError } from '../../errors.ts'
import { ACCOUNTANT, epsilonOf } from '../../privacy/accountant.ts'
import { calibrateNoise } from '../../privacy/calibration.ts'
import { defineCommand, outputOf } from '../context.ts'
import { table } from '../output/output.ts'

export const accountCommand = defineCommand({
  command: 'account',
  describe: 'Epsilon from noise, or noise from epsilon',
  builder: (yargs) =>
    yargs
      .option('noise', {
        type: 'number',
        requiresArg: true,
        describe: 'Noise multiplier: sigma / L2 sensitivity',
      })
      .option('epsilon', { type: 'number', requiresArg: true, describe: 'Find the noise for this epsilon' })
      .option('delta', { type: 'number', requiresArg: true, demandOption: true, describe: 'Delta' })
      .option('rounds', {
        type: 'number',
        requiresArg: true,
        demandOption: true,
        describe: 'Number of releases',
      })
      .conflicts('noise', 'epsilon')
      .example('$0 account --noise 11.3 --rounds 11 --delta 3e-6', 'What the paper prints as 1.29')
      .example('$0 account --epsilon 4 --rounds 8 --delta 1e-5', 'The noise that 8 rounds need'),
  handler(args) {
    const output = outputOf(args)
    const { delta, rounds } = args
    if (!(Number.isInteger(rounds) && rounds > 0)) {
      throw new PretextError(`--rounds must be a positive integer, got ${rounds}`, { code: 'usage' })
    }
    if ((args.noise === undefined) === (args.epsilon === undefined)) {
      throw new PretextError('expected either --noise or --epsilon', { code: 'usage' })
    }
    const noiseMultiplier = args.noise ?? calibrateNoise(args.epsilon as number, delta, rounds)
    const spent = (count: number, multiplier: number) =>
      epsilonOf(
        Array.from({ length: count }, () => ({ type: 'gaussian' as const, noiseMultiplier: multiplier })),
        delta,
      )
    const epsilon = spent(rounds, noiseMultiplier)
    const substitution = spent(rounds, noiseMultiplier / Math.SQRT2)
    const perRound = Array.from({ length: rounds }, (_, i) => spent(i + 1, noiseMultiplier))
    const rows = [
      ['noise multiplier', noiseMultiplier.toFixed(6)],
      ['epsilon', `${epsilon.toFixed(6)} (add-remove)`],
      ['', `${substitution.toFixed(6)} (substitution, non-negative votes: sensitivity x sqrt 2)`],
      ['delta', String(delta)],
      ['after each round', perRound.map((e) => e.toFixed(3)).join(' ')],
      ['accountant', ACCOUNTANT],
    ]
    output.result(table(rows), {
      noiseMultiplier,
      delta,
      rounds,
      epsilon,
      substitution,
      perRound,
      accountant: ACCOUNTANT,
    })
  },
})
