// pretext batch FILE: many jobs over one base config, resumable, alone or as one share of an array of machines.
import { join } from 'node:path'
import { PretextError } from '../../errors.ts'
import { defineCommand, interruptible, outputOf } from '../context.ts'
import { shown, table } from '../output/output.ts'

export const batchCommand = defineCommand({
  command: 'batch <file>',
  describe: 'Many jobs: a matrix of data sets, epsilons, seeds and settings over one config',
  builder: (yargs) =>
    yargs
      .positional('file', {
        type: 'string',
        demandOption: true,
        describe: 'Batch file (YAML, docs/batch.md)',
      })
      .option('jobs', {
        type: 'number',
        default: 1,
        requiresArg: true,
        describe: 'Jobs at once in this process',
      })
      .option('share', {
        type: 'string',
        requiresArg: true,
        describe:
          'Do the I-th of N shares: I/N (default: read from a Slurm array or a Kubernetes indexed Job, else all)',
      })
      .option('list', {
        type: 'boolean',
        default: false,
        describe: 'Show the jobs of this share and do nothing',
      })
      .option('summary', {
        type: 'boolean',
        default: false,
        describe: 'Write the summary of all shares again and do nothing else',
      })
      .example('$0 batch configs/batch.yaml --jobs 2', 'All jobs, two at a time; again to go on after a stop')
      .example('$0 batch configs/batch.yaml --list --share 1/4', 'The first quarter, to look at'),
  async handler(args) {
    const { loadBatch } = await import('../../batch/config.ts')
    const { jobsOf } = await import('../../batch/jobs.ts')
    const { runBatch } = await import('../../batch/run.ts')
    const { shareOf, takeShare } = await import('../../batch/share.ts')
    const { spendText, summarise, summaryTable, writeSummary } = await import('../../batch/summary.ts')
    const { startItself } = await import('../../batch/process.ts')
    const output = outputOf(args)
    const { jobs: parallel } = args
    if (!Number.isInteger(parallel) || parallel < 1) {
      throw new PretextError(`expected --jobs to be a whole number from 1 up, got ${parallel}`, {
        code: 'usage',
      })
    }
    const batch = await loadBatch(args.file)
    const { checkStepOptions } = await import('../batch-options.ts')
    await checkStepOptions(batch)
    const share = shareOf({
      env: process.env,
      ...(args.share === undefined ? {} : { given: args.share }),
      ...(batch.shares === undefined ? {} : { declared: batch.shares }),
    })
    const all = jobsOf(batch)
    const own = takeShare(all, share)
    if (args.list) {
      const rows = [['job', 'settings'], ...own.map((job) => [job.id, job.settings.join(' ')])]
      output.result(table(rows), { jobs: own.map(({ id, settings }) => ({ id, settings })) })
      return
    }
    const { loadConfig } = await import('../../config/load.ts')
    // Every config is checked before the first job begins, so that a mistake costs no night.
    for (const job of all) await loadConfig(batch.basePath, { set: job.settings })
    output.info(
      `batch ${batch.name}: ${own.length} of ${all.length} jobs (${share.from}), ${batch.steps.join(', ')}, in ${shown(batch.folder)}`,
    )
    const summary = args.summary
      ? await summarise(batch, all, own)
      : await interruptible(output, (signal) =>
          runBatch(batch, {
            share,
            parallel,
            start: startItself(process.argv[1] as string),
            onEvent: output.onEvent,
            signal,
          }),
        )
    if (args.summary) await writeSummary(batch, summary)
    const { head, rows } = summaryTable(summary)
    const spends = summary.datasets.map(spendText)
    const files = `${shown(join(batch.folder, 'summary.json'))} and summary.csv`
    const { failed, open } = summary.own
    const failing = failed > 0 && !args.summary
    // With --json a failure has the one object on stdout; the table is in summary.json.
    if (!failing || !args.json) {
      output.result([table([head, ...rows]), '', ...spends, files].join('\n'), { ...summary })
    }
    if (failing) {
      throw new PretextError(`${failed} of ${summary.own.jobs} jobs failed; the others are done`, {
        code: 'batch',
        hint: `the table says which; each has its logs in ${shown(join(batch.folder, 'jobs'))}; run again to try them again`,
      })
    }
    if (open > 0 && args.summary) output.info(`${open} jobs are still open`)
  },
})
