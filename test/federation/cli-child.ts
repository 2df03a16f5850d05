// The command line from its sources, as a process: node --import tsx cli-child.ts COMMAND ...
import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2))
