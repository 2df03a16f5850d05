// A coordinator as a process of its own: node --import tsx ten-clients-child.ts CONFIG OUT TOKENS. It is "pretext serve" with
// one more line of output for each round: the exact sums, which the product tells nobody. On "go" it runs the rounds; on
// "deadline N" the next round that has N votes is at its deadline.
import { createInterface } from 'node:readline'
import { loadConfig } from '../../src/config/load.ts'
import { sumVotes, trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { openCoordinator } from '../../src/run/coordinator.ts'
import { generate } from '../../src/run/generate.ts'
import { roundClock } from './deadline.ts'

const [config = '', out = '', tokens = '0'] = process.argv.slice(2)
const tell = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)
const loaded = await loadConfig(config)
const open = await openCoordinator(loaded)
const { clock, afterVotes } = roundClock(open.coordinator.store)
tell({ url: open.url, tokens: await mintTokens(open.coordinator.store, Number(tokens), Date.now()) })

const aggregation: typeof trustedAggregation = {
  ...trustedAggregation,
  async release(round, options) {
    const sums = [...exactSums(await sumVotes(round))].map(String)
    tell({ round: round.manifest.round, hash: round.hash, sums })
    return trustedAggregation.release(round, options)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') {
    const coordinator = { ...open, coordinator: { ...open.coordinator, aggregation, clock } }
    generate(loaded, { coordinator, out }).then(
      ({ report }) => tell({ epsilon: report.privacy.epsilon }),
      (error: Error) => tell({ failed: error.message }),
    )
  }
  if (line.startsWith('deadline ')) void afterVotes(Number(line.slice(9)))
  if (line === 'end') break
}
await open.close()
process.exit(0)
