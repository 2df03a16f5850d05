// pretext export RUN: the corpus in the form that other tools want.
import { defineCommand, outputOf } from '../context.ts'

const FORMATS = ['jsonl', 'csv', 'parquet', 'openai', 'dataset', 'hub'] as const

export const exportCommand = defineCommand({
  command: 'export <run> <format> <to>',
  describe:
    'Write the corpus of a run as jsonl, csv, parquet, OpenAI fine-tune file, or Hugging Face dataset',
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'Folder of the run' })
      .positional('format', { choices: FORMATS, demandOption: true, describe: 'hub uploads (HF_TOKEN)' })
      .positional('to', {
        type: 'string',
        demandOption: true,
        describe: 'File, folder, or owner/name on the Hub',
      })
      .option('instruction', {
        type: 'string',
        requiresArg: true,
        describe: 'openai: the user turn before each text',
      })
      .option('public', {
        type: 'boolean',
        default: false,
        describe: 'hub: make the dataset public',
      }),
  async handler(args) {
    const { exportCorpus } = await import('../../run/export-corpus.ts')
    const { readCorpus, readRunConfig, readRunReport } = await import('../../run/read-run.ts')
    const output = outputOf(args)
    const report = await readRunReport(args.run)
    const rows = await readCorpus(args.run)
    const { language, licence } = (await readRunConfig(args.run)).generate
    const target = await exportCorpus(rows, args.format, args.to, {
      report,
      card: { language, license: licence },
      onEvent: output.onEvent,
      private: !args.public,
      ...(args.instruction === undefined ? {} : { instruction: args.instruction }),
    })
    output.result(`${rows.length} texts in ${target}`, { texts: rows.length, target })
  },
})
