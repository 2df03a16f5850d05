// One of the two aggregators as a process of its own, to be killed: node two-server-child.js ROLE FOLDER CANDIDATES PORT
// HELPER-URL. The helper answers until it dies. The leader opens round after round: on "close" it verifies what it has, on
// "release" it releases; started again, it goes on where it died. It prints a line for each step that is behind it.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { matrix } from '../../src/embeddings/matrix.ts'
import { helperConnection } from '../../src/federation/aggregation/helper-connection.ts'
import { twoServerAggregation } from '../../src/federation/aggregation/two-server.ts'
import { systemClock } from '../../src/federation/clock.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import { collectRound, publishRelease } from '../../src/federation/coordinator/collect.ts'
import { listen } from '../../src/federation/coordinator/server.ts'
import { helperApp } from '../../src/federation/helper/app.ts'
import { helperRounds } from '../../src/federation/helper/helper-rounds.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import { helperName } from '../../src/federation/protocol/signing.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { ownThread } from '../../src/federation/verification/verifiers.ts'
import { workerVerifiers } from '../../src/federation/verification/worker-verifiers.ts'
import { embedder, exampleCoordinator, exampleTerms, openedRound } from './example.ts'

const [role = '', folder = '', candidates = '0', port = '0', helperUrl = ''] = process.argv.slice(2)
const options = {
  jobSize: 4,
  maxWeight: 1,
  multiproof: false,
  threads: 0,
  rounds: 1000,
  ...(JSON.parse(process.env.PRETEXT_TWO_SERVER ?? '{}') as object),
}
const tell = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`)
const leaderKeys = await openKeyRing(join(folder, 'leader.keys'))
const helperKeys = await openKeyRing(join(folder, 'helper.keys'))
const leader = (await leaderKeys.current()).identity
const helper = (await helperKeys.current()).identity
const { multiproof, maxWeight } = options
const vote = { mode: 'multihot', maxTextsPerClient: maxWeight, neighbours: 1 } as const
const termsOf = (round: number) =>
  exampleTerms({
    run: 'two-server',
    round,
    rounds: options.rounds,
    candidates: matrix(Number(candidates), 256),
    cohort: { minimum: 2, target: null, seats: null },
    vote: voteTermsOf(vote, 'l2'),
    openSeconds: 3600,
  })
const ledgerTerms = { dataset: 'example', unit: 'client', adjacency: 'add-remove' } as const
const verifiers = options.threads === 0 ? ownThread() : workerVerifiers(options.threads)
const idle = { votes: { idle: async () => {} } }
const started = process.cpuUsage()
const usage = () => {
  const { user, system } = process.cpuUsage(started)
  return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() }
}

if (role === 'helper') {
  const { rounds, texts, vote: votes, noise, cohort } = termsOf(1)
  const helpers = helperRounds({
    store: await helperStore(await embeddedDatabase(join(folder, 'helper.db'))),
    keys: helperKeys,
    leader,
    agreed: {
      rounds,
      candidates: () => Number(candidates),
      embedder: { ...embedder.identity },
      labels: null,
      texts,
      vote: votes,
      noise,
      cohort,
      aggregation: {
        mode: 'two-server',
        leader: leader.text,
        helper: helper.text,
        multiproof,
        noise: 'full',
      },
    },
    verifiers,
    releases: join(folder, 'shares'),
    ledger: join(folder, 'helper-ledger.jsonl'),
    terms: ledgerTerms,
  })
  const app = helperApp({ rounds: helpers, keys: helperKeys, leader, name: helperName(helper.text) })
  tell({ url: (await listen(app, idle, { host: '127.0.0.1', port: Number(port) })).url })
  for await (const line of createInterface({ input: process.stdin })) if (line === 'usage') tell(usage())
} else {
  const store = await sqlStore(await embeddedDatabase(join(folder, 'leader.db')))
  const aggregation = await twoServerAggregation({
    store,
    keys: leaderKeys,
    helper: helperConnection({
      url: helperUrl,
      identity: helper,
      keys: leaderKeys,
      // A helper that was killed is asked again soon.
      clock: { now: systemClock.now, sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 50), signal) },
    }),
    helperIdentity: helper,
    verifiers,
    multiproof,
    noise: 'full',
    jobSize: options.jobSize,
  })
  const coordinator = await exampleCoordinator(store, { aggregation, publicCohort: true })
  const app = coordinatorApp(coordinator)
  const { url } = await listen(app, coordinator, { host: '127.0.0.1', port: Number(port) })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const heard = async (word: string) => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done === true) process.exit(0)
      if (value === word) return
      if (value === 'usage') tell(usage())
    }
  }
  const last = (await store.rounds('two-server')).at(-1)
  for (let round = last === undefined ? 1 : last.number + (last.state === 'released' ? 1 : 0); ; round++) {
    const terms = termsOf(round)
    const known = (await store.rounds('two-server')).find(({ number }) => number === round)
    const hash = known?.manifest ?? (await opened(round))
    tell({ url, task: coordinator.task, round, hash, state: known?.state ?? 'open' })
    if ((known?.state ?? 'open') === 'open') {
      await heard('close')
      await store.closeRound(hash)
    }
    const began = performance.now()
    const closed = await collectRound(coordinator, terms)
    tell({ verified: round, seconds: (performance.now() - began) / 1000, ...usage() })
    await heard('release')
    const file = join(folder, `release-${round}.json`)
    const { noiseMultiplier } = terms.noise
    await aggregation.release(closed, {
      file,
      ledger: join(folder, 'leader-ledger.jsonl'),
      terms: ledgerTerms,
      charge: {
        run: 'two-server',
        release: `round-${round}`,
        mechanism: { type: 'gaussian', noiseMultiplier },
      },
    })
    await publishRelease(coordinator, hash, await readFile(file))
    tell({ released: round })
  }
  async function opened(round: number): Promise<string> {
    const stop = new AbortController()
    const { hash } = await openedRound(coordinator, termsOf(round), stop.signal)
    stop.abort()
    return hash
  }
}
