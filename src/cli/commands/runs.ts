// pretext runs: what was run, what it spent, and how it ended.

import { rm } from 'node:fs/promises'
import { PretextError } from '../../errors.ts'
import { exactDuration } from '../../report/figures.ts'
import { defineCommand, outputOf } from '../context.ts'
import { shown, table } from '../output/output.ts'

export const runsCommand = defineCommand({
  command: 'runs [action] [run]',
  describe: 'List runs, show one, or remove one',
  builder: (yargs) =>
    yargs
      .positional('action', { choices: ['list', 'show', 'rm'], default: 'list', describe: 'What to do' })
      .positional('run', { type: 'string', describe: 'Name of a run' })
      .option('folder', { type: 'string', default: 'runs', describe: 'Folder of the runs' }),
  async handler(args) {
    const { listRuns } = await import('../../run/folder.ts')
    const { readRunReport } = await import('../../run/read-run.ts')
    const output = outputOf(args)
    const runs = await listRuns(args.folder)
    if (args.action === 'list') {
      const rows = runs.map(({ manifest }) => [
        manifest.id,
        manifest.status,
        manifest.dataset,
        exactDuration(manifest.seconds),
        manifest.startedAt.slice(0, 16).replace('T', ' '),
      ])
      const text =
        runs.length === 0
          ? `no runs in ${shown(args.folder)}`
          : table([['run', 'status', 'data set', 'time', 'started (UTC)'], ...rows])
      output.result(text, { runs: runs.map(({ path, manifest }) => ({ path, ...manifest })) })
      return
    }
    const run = runs.find(({ manifest }) => manifest.id === args.run)
    if (run === undefined) {
      throw new PretextError(`expected the name of a run in ${shown(args.folder)}, got "${args.run ?? ''}"`, {
        code: 'usage',
        hint: '"pretext runs" lists them',
      })
    }
    if (args.action === 'rm') {
      await rm(run.path, { recursive: true })
      output.result(`removed ${shown(run.path)}; its charges stay in the ledger`, { removed: run.path })
      return
    }
    const report = run.manifest.status === 'finished' ? await readRunReport(run.path) : undefined
    const rows = Object.entries(run.manifest).map(([key, value]) => [key, String(value)])
    if (report !== undefined) {
      rows.push(['epsilon', `${report.privacy.epsilon} at delta ${report.privacy.delta}`])
      rows.push(['corpus', `${report.corpus.texts} texts`])
    }
    output.result(table(rows), {
      path: run.path,
      ...run.manifest,
      ...(report === undefined ? {} : { report }),
    })
  },
})
