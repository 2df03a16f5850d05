// pretext ledger: what a data set has spent, and whether its ledger is whole.
import { PretextError } from '../../errors.ts'
import { checkDelta } from '../../privacy/units.ts'
import { defineCommand, outputOf } from '../context.ts'
import { shown, table } from '../output/output.ts'
import { number } from '../output/progress.ts'

/** Whom a charge is counted against; it differs where two servers add half of the noise each. */
const AGAINST = { everybody: 'everybody', outsiders: 'outsiders', operators: 'either server' } as const

export const ledgerCommand = defineCommand({
  command: 'ledger <action> <ledger>',
  describe: 'Show or verify the privacy ledger of a data set',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: ['show', 'verify'], demandOption: true, describe: 'What to do' })
      .positional('ledger', { type: 'string', demandOption: true, describe: 'Ledger file' })
      .option('delta', {
        type: 'number',
        requiresArg: true,
        describe: 'Also print the epsilon spent at this delta',
      }),
  async handler(args) {
    const { chargesIn, commitOf, readLedger, spentEpsilon } = await import('../../privacy/ledger.ts')
    const { exists } = await import('../../run/folder.ts')
    if (!(await exists(args.ledger))) {
      throw new PretextError(`${shown(args.ledger)}: expected a ledger, found no file`, {
        code: 'usage',
        hint: 'ledgers lie in <output.folder>/ledgers/<dataset>.jsonl, or where privacy.ledger says',
      })
    }
    const entries = await readLedger(args.ledger)
    const head = entries.at(-1)
    const charges = chargesIn(entries)
    const owner = charges.at(-1)
    const delta = args.delta === undefined ? undefined : checkDelta(args.delta)
    // Two servers with half of the noise each: what is spent depends on who looks.
    const halves = charges.some(({ against }) => against !== undefined)
    const epsilon = delta === undefined ? undefined : spentEpsilon(entries, delta, 'outsiders')
    const epsilonOfOneServer =
      delta === undefined || !halves ? undefined : spentEpsilon(entries, delta, 'operators')
    const rows = charges.map((entry) => [
      String(entry.number),
      entry.time.slice(0, 19).replace('T', ' '),
      entry.run,
      entry.release,
      entry.mechanism.type === 'gaussian'
        ? `gaussian, noise multiplier ${entry.mechanism.noiseMultiplier.toFixed(4)}`
        : entry.mechanism.type,
      ...(halves ? [AGAINST[entry.against ?? 'everybody']] : []),
      commitOf(entries, entry)?.slice(0, 12) ?? 'not released',
    ])
    const columns = ['#', 'time (UTC)', 'run', 'release', 'mechanism', ...(halves ? ['against'] : [])]
    const lines = [
      ...(args.action === 'show' ? [table([[...columns, 'released as'], ...rows])] : []),
      `whole: ${entries.length} entries, each following the one before it${head === undefined ? '' : `; head ${head.hash}`}`,
      ...(owner === undefined
        ? []
        : [`data set ${owner.dataset}, unit ${owner.unit}, adjacency ${owner.adjacency}`]),
      ...(epsilon === undefined
        ? []
        : [
            `spent: epsilon ${number(epsilon)} at delta ${delta}${halves ? ' against whoever sees the noise of both servers' : ''}`,
          ]),
      ...(epsilonOfOneServer === undefined
        ? []
        : [
            `spent: epsilon ${number(epsilonOfOneServer)} at delta ${delta} against either of the two servers, which knows its own half`,
          ]),
    ]
    outputOf(args).result(lines.join('\n'), {
      entries: args.action === 'show' ? entries : entries.length,
      head: head?.hash ?? null,
      ...(epsilon === undefined ? {} : { epsilon, delta }),
      ...(epsilonOfOneServer === undefined ? {} : { epsilonOfOneServer }),
    })
  },
})
