// pretext report RUN: the report of a finished run, written again from its JSON twin.
import { join } from 'node:path'
import { defineCommand, outputOf } from '../context.ts'
import { shown } from '../output/output.ts'

export const reportCommand = defineCommand({
  command: 'report <run>',
  describe: 'Write the report of a finished run again',
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'Folder of the run' })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'HTML file (default: report.html in the run)',
      }),
  async handler(args) {
    const { writeDurable } = await import('../../durable.ts')
    const { renderReport } = await import('../../report/html.ts')
    const { readRunReport } = await import('../../run/read-run.ts')
    const report = await readRunReport(args.run)
    const file = args.out ?? join(args.run, 'report.html')
    await writeDurable(file, renderReport(report))
    outputOf(args).result(shown(file), { report: file })
  },
})
