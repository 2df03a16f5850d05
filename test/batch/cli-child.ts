// The command line from the sources, for processes that a test starts: what bin/pretext.js is for the built package.
import { main } from '../../src/cli/main.ts'

process.exitCode = await main(process.argv.slice(2))
