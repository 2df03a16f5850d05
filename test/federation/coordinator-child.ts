// A coordinator as a process of its own, to be killed: node --import tsx coordinator-child.ts STORE PORT CLIENTS. It opens
// the one round of the test, or goes on with it. On a line "close" it closes the round, prints the exact sums, and opens the
// next one.
import { createInterface } from 'node:readline'
import { matrix } from '../../src/embeddings/matrix.ts'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import { collectRound } from '../../src/federation/coordinator/collect.ts'
import { listen } from '../../src/federation/coordinator/server.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { postgresDatabase } from '../../src/federation/stores/postgres.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { exampleCoordinator, exampleTerms, openedRound } from './example.ts'

const [file = '', port = '0', clients = '100'] = process.argv.slice(2)
const store = await sqlStore(
  await (file.startsWith('postgres:') ? postgresDatabase(file) : embeddedDatabase(file)),
)
const coordinator = await exampleCoordinator(store, { publicCohort: true })
// One candidate for each client: a sum other than 0 or the steps of one vote is a lost or doubled vote.
const termsOf = (round: number) =>
  exampleTerms({
    round,
    candidates: matrix(Number(clients), 256),
    cohort: { minimum: 1, target: null, seats: null },
    openSeconds: 3600,
  })
const openRound = async (round: number) => {
  const stop = new AbortController()
  const { hash } = await openedRound(coordinator, termsOf(round), stop.signal)
  return { round, hash, stop }
}
let current = await openRound(1)
const open = await listen(coordinatorApp(coordinator), coordinator, { host: '127.0.0.1', port: Number(port) })
const cpuAtStart = process.cpuUsage()
process.stdout.write(`${JSON.stringify({ url: open.url, hash: current.hash, task: coordinator.task })}\n`)

for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'usage') {
    const { user, system } = process.cpuUsage(cpuAtStart)
    const usage = { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() }
    process.stdout.write(`${JSON.stringify(usage)}\n`)
  }
  if (line === 'close') {
    const { round, hash, stop } = current
    stop.abort()
    await store.closeRound(hash)
    const closed = await collectRound(coordinator, termsOf(round))
    const sums = [...exactSums(await sumVotes(closed))].map(Number)
    await store.endRound(hash, 'released', null)
    await store.forgetVotes(hash)
    current = await openRound(round + 1)
    process.stdout.write(
      `${JSON.stringify({ sums, rssBytes: process.memoryUsage.rss(), hash: current.hash })}\n`,
    )
  }
  if (line === 'drain') {
    await open.close()
    await store.close()
    process.stdout.write('{"drained":true}\n')
    process.exit(0)
  }
}
