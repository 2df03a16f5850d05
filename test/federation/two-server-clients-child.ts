// A leader as a process of its own: node --import tsx two-server-clients-child.ts CONFIG OUT TOKENS. It is "pretext serve" which,
// before each release, tells its own share of the sum and waits for "go on": so that a test, which has the helper's disk as
// well, can put the exact sum together. On "go" it runs the rounds; on "deadline N" the next round that has N votes is at
// its deadline.
import { createInterface } from 'node:readline'
import { loadConfig } from '../../src/config/load.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { toBase64Url } from '../../src/federation/protocol/bytes.ts'
import { joinedResults } from '../../src/federation/verification/jobs.ts'
import { openCoordinator } from '../../src/run/coordinator.ts'
import { generate } from '../../src/run/generate.ts'
import { roundClock } from './deadline.ts'

const [config = '', out = '', tokens = '0'] = process.argv.slice(2)
const tell = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)
const loaded = await loadConfig(config)
const open = await openCoordinator(loaded)
const { coordinator } = open
const { clock, afterVotes } = roundClock(coordinator.store)
tell({ url: open.url, tokens: await mintTokens(coordinator.store, Number(tokens), Date.now()) })

const waiting: (() => void)[] = []
const aggregation: typeof coordinator.aggregation = {
  ...coordinator.aggregation,
  async release(round, options) {
    const own = joinedResults(round, await coordinator.store.jobs(round.hash))
    const goOn = new Promise<void>((resolve) => waiting.push(resolve))
    tell({
      round: round.manifest.round,
      hash: round.hash,
      accepted: own.accepted,
      share: toBase64Url(own.share),
    })
    await goOn
    return coordinator.aggregation.release(round, options)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'go') {
    const watched = { ...open, coordinator: { ...coordinator, aggregation, clock } }
    generate(loaded, { coordinator: watched, out }).then(
      ({ report }) => tell({ epsilon: report.privacy.epsilon }),
      (error: Error) => tell({ failed: error.message }),
    )
  }
  if (line === 'go on') waiting.shift()?.()
  if (line.startsWith('deadline ')) void afterVotes(Number(line.slice(9)))
  if (line === 'end') break
}
await open.close()
process.exit(0)
