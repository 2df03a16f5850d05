// pretext ledger: what a data set has spent, and whether its ledger is whole.
import { PretextError } from '../../errors.ts'
import { checkDelta } from '../../privacy/units.ts'
import { defineCommand, outputOf } from '../context.ts'
import { shown, table } from '../output/output.ts'
import { number } from '../output/progress.ts'

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
    const epsilon = args.delta === undefined ? undefined : spentEpsilon(entries, checkDelta(args.delta))
    const head = entries.at(-1)
    const charges = chargesIn(entries)
    const owner = charges.at(-1)
    const rows = charges.map((entry) => [
      String(entry.number),
      entry.time.slice(0, 19).replace('T', ' '),
      entry.run,
      entry.release,
      entry.mechanism.type === 'gaussian'
        ? `gaussian, noise multiplier ${entry.mechanism.noiseMultiplier.toFixed(4)}`
        : entry.mechanism.type,
      commitOf(entries, entry)?.slice(0, 12) ?? 'not released',
    ])
    const lines = [
      ...(args.action === 'show'
        ? [table([['#', 'time (UTC)', 'run', 'release', 'mechanism', 'released as'], ...rows])]
        : []),
      `whole: ${entries.length} entries, each following the one before it${head === undefined ? '' : `; head ${head.hash}`}`,
      ...(owner === undefined
        ? []
        : [`data set ${owner.dataset}, unit ${owner.unit}, adjacency ${owner.adjacency}`]),
      ...(epsilon === undefined ? [] : [`spent: epsilon ${number(epsilon)} at delta ${args.delta}`]),
    ]
    outputOf(args).result(lines.join('\n'), {
      entries: args.action === 'show' ? entries : entries.length,
      head: head?.hash ?? null,
      ...(epsilon === undefined ? {} : { epsilon, delta: args.delta }),
    })
  },
})
