// A leader and a helper for tests, each with keys, a store and a ledger of its own, in one process: the leader reaches the
// helper through a `fetch` that tests may break.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { OnEvent } from '../../src/events.ts'
import { helperConnection } from '../../src/federation/aggregation/helper-connection.ts'
import { twoServerAggregation } from '../../src/federation/aggregation/two-server.ts'
import { createFederatedClient, type FederatedClient } from '../../src/federation/client/client.ts'
import { clientIdentity } from '../../src/federation/client/identity.ts'
import type { ClientPolicy } from '../../src/federation/client/policy.ts'
import { sealReport, shareVote } from '../../src/federation/client/shares.ts'
import type { ClientLedger, ClientStorage } from '../../src/federation/client/state.ts'
import { type Clock, systemClock } from '../../src/federation/clock.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import type { RoundTerms } from '../../src/federation/coordinator/collect.ts'
import type { CoordinatorOptions } from '../../src/federation/coordinator/coordinator.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import type { AgreedTerms } from '../../src/federation/helper/agreed-terms.ts'
import { helperApp } from '../../src/federation/helper/app.ts'
import { helperRounds } from '../../src/federation/helper/helper-rounds.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import type { AggregatorIdentity } from '../../src/federation/protocol/aggregator.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import { REPORT_TYPE, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { helperName } from '../../src/federation/protocol/signing.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { ownThread } from '../../src/federation/verification/verifiers.ts'
import type { MechanismEvent } from '../../src/privacy/events.ts'
import type { LedgerTerms } from '../../src/privacy/ledger.ts'
import type { NoiseOfEach } from '../../src/privacy/two-parties.ts'
import { client, embedder, exampleCoordinator, exampleTerms, signedRequest } from './example.ts'

export const LEDGER_TERMS: LedgerTerms = { dataset: 'example', unit: 'client', adjacency: 'add-remove' }

/** Multihot votes for at most 4 of 8 candidates. */
export const MULTIHOT = voteTermsOf({ mode: 'multihot', maxTextsPerClient: 4, neighbours: 1 }, 'l2')

export interface TwoServersOptions {
  readonly folder?: string
  readonly clock?: Clock
  readonly multiproof?: boolean
  readonly noise?: NoiseOfEach
  readonly jobSize?: number
  readonly terms?: Partial<RoundTerms>
  readonly agreed?: Partial<AgreedTerms>
  readonly ledger?: LedgerTerms
  readonly coordinator?: Partial<CoordinatorOptions>
  readonly patienceMs?: number
  /** What the leader says while it asks the helper again. */
  readonly onRetry?: (why: string) => void
  /** Whom the helper takes for the leader, where that is another one. */
  readonly leaderAtHelper?: AggregatorIdentity
  readonly onHelperEvent?: OnEvent
  /** Stands between the two servers. */
  readonly between?: (fetch: typeof globalThis.fetch) => typeof globalThis.fetch
}

export async function twoServers(options: TwoServersOptions = {}) {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'two-servers-')))
  const { clock = systemClock, multiproof = false, noise = 'full' } = options
  const leaderKeyFile = join(folder, 'leader', 'identity.json')
  const helperKeyFile = join(folder, 'helper', 'identity.json')
  const leaderKeys = await openKeyRing(leaderKeyFile)
  const helperKeys = await openKeyRing(helperKeyFile)
  const leader = (await leaderKeys.current()).identity
  const helper = (await helperKeys.current()).identity
  const terms = exampleTerms({ vote: MULTIHOT, ...options.terms })
  const agreed: AgreedTerms = {
    rounds: terms.rounds,
    candidates: () => terms.candidates.rows,
    embedder: { ...embedder.identity },
    labels: terms.labels?.names ?? null,
    texts: terms.texts,
    vote: terms.vote,
    noise: terms.noise,
    cohort: terms.cohort,
    aggregation: { mode: 'two-server', leader: leader.text, helper: helper.text, multiproof, noise },
    ...options.agreed,
  }
  const rounds = helperRounds({
    store: await helperStore(await embeddedDatabase(join(folder, 'helper', 'store.db'))),
    keys: helperKeys,
    leader,
    agreed,
    verifiers: ownThread(),
    releases: join(folder, 'helper', 'releases'),
    ledger: join(folder, 'helper', 'ledger.jsonl'),
    terms: options.ledger ?? LEDGER_TERMS,
    clock,
  })
  const second = helperApp({
    rounds,
    keys: helperKeys,
    leader: options.leaderAtHelper ?? leader,
    name: helperName(helper.text),
    clock,
    ...(options.onHelperEvent === undefined ? {} : { onEvent: options.onHelperEvent }),
  })
  const line = (async (input, init) => second.fetch(new Request(input, init))) as typeof fetch
  const store = await sqlStore(await embeddedDatabase(join(folder, 'leader', 'store.db')))
  const connection = helperConnection({
    url: 'http://helper.test',
    identity: helper,
    keys: leaderKeys,
    fetch: options.between?.(line) ?? line,
    clock,
    patienceMs: options.patienceMs ?? 2000,
    ...(options.onRetry === undefined ? {} : { onRetry: options.onRetry }),
  })
  const aggregation = await twoServerAggregation({
    store,
    keys: leaderKeys,
    helper: connection,
    helperIdentity: helper,
    verifiers: ownThread(),
    multiproof,
    noise,
    clock,
    ...(options.jobSize === undefined ? {} : { jobSize: options.jobSize }),
  })
  const coordinator = await exampleCoordinator(store, { aggregation, clock, ...options.coordinator })
  const app = coordinatorApp(coordinator)
  return {
    folder,
    coordinator,
    store,
    app,
    /** A client's way to the leader. */
    fetch: (async (input, init) => app.fetch(new Request(input, init))) as typeof fetch,
    terms,
    agreed,
    connection,
    rounds,
    second,
    leader,
    helper,
    leaderKeys,
    helperKeys,
    leaderKeyFile,
    helperKeyFile,
    /** Options of `aggregation.release` beside the round. */
    release: {
      file: join(folder, 'leader', 'release.json'),
      ledger: join(folder, 'leader', 'ledger.jsonl'),
      terms: options.ledger ?? LEDGER_TERMS,
      charge: {
        run: terms.run,
        release: `round-${terms.round}`,
        mechanism: { type: 'gaussian', noiseMultiplier: terms.noise.noiseMultiplier },
      },
    } as const,
  }
}

export type TwoServers = Awaited<ReturnType<typeof twoServers>>

/** A client's state in memory. */
export function memoryState() {
  const values = new Map<string, string>()
  const charged = new Map<string, MechanismEvent>()
  const storage: ClientStorage = {
    get: async (name) => values.get(name),
    async set(name, value) {
      values.set(name, value)
    },
  }
  const ledger: ClientLedger = {
    charged: async () => [...charged.values()],
    has: async (task, release) => charged.has(`${task} ${release}`),
    async charge(task, release, mechanism) {
      charged.set(`${task} ${release}`, mechanism)
    },
  }
  return { values, storage, ledger }
}

export const POLICY: ClientPolicy = {
  epsilon: 100,
  delta: 1e-5,
  adjacency: 'add-remove',
  minimumCohort: 2,
  aggregation: ['two-server'],
}

/** A client that is enrolled in the task of these servers. */
export async function enrolledClient(
  servers: Pick<TwoServers, 'store' | 'fetch' | 'coordinator'>,
  change: {
    readonly state?: ReturnType<typeof memoryState>
    readonly policy?: Partial<ClientPolicy>
    readonly fetch?: typeof fetch
  } = {},
): Promise<FederatedClient> {
  const { storage, ledger } = change.state ?? memoryState()
  const client = createFederatedClient({
    server: 'http://coordinator.test',
    policy: { ...POLICY, ...change.policy },
    embedder,
    storage,
    ledger,
    clock: servers.coordinator.clock,
    fetch: change.fetch ?? servers.fetch,
    patienceMs: 2000,
  })
  const [token = ''] = await mintTokens(servers.store, 1, 0)
  await client.enrol(token)
  return client
}

/** A report of the n-th client, sealed and signed as a client does it: for tests that skip embedding and policy. */
export async function reportOf(
  { coordinator, leaderKeys, helperKeys }: TwoServers,
  hash: string,
  n: number,
  indices: readonly number[],
): Promise<Uint8Array> {
  const manifest = (await coordinator.manifest(hash)) as Manifest
  const vote = { indices: [...indices], steps: indices.map(() => 1n) }
  const now = coordinator.clock.now()
  return sealReport(manifest, hash, shareVote(manifest, hash, vote), {
    keys: {
      leader: (await leaderKeys.current()).sealingKeys(now),
      helper: (await helperKeys.current()).sealingKeys(now),
    },
    identity: await clientIdentity(client(n).secretKey),
    now,
  })
}

/** Sends it, signed as a request of the n-th client. */
export function upload(servers: TwoServers, hash: string, n: number, report: Uint8Array): Promise<Response> {
  const { task, clock } = servers.coordinator
  const path = `/v1/rounds/${hash}/vote`
  const request = signedRequest(client(n), 'PUT', path, report, task, clock.now())
  request.headers.set('content-type', REPORT_TYPE)
  return Promise.resolve(servers.app.fetch(request))
}

/**
 * The exact sum of a closed and verified round, which no process of a federation ever has: put together here from what both
 * servers keep, before the helper forgets.
 */
export async function exactSum(servers: TwoServers, hash: string): Promise<number[]> {
  const manifest = (await servers.coordinator.manifest(hash)) as Manifest
  const vdaf = voteVdaf(manifest)
  const [own, helpers] = [await servers.store.jobs(hash), await servers.rounds.store.results(hash)]
  const count = own.reduce((sum, { accepted }) => sum + accepted, 0)
  const shares = [own, helpers].map((results) => vdaf.aggregate(results.map(({ share }) => share)))
  return vdaf.unshard(shares, count)
}
