// Both aggregators of two-server mode in this process, with databases, keys and ledgers of their own, joined by a function in
// place of a network; and reports of clients, honest or made by hand.
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { helperConnection } from '../../src/federation/aggregation/helper-connection.ts'
import { type TwoServerOptions, twoServerAggregation } from '../../src/federation/aggregation/two-server.ts'
import { type ClientIdentity, clientIdentity } from '../../src/federation/client/identity.ts'
import { type Shares, sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { type Clock, systemClock } from '../../src/federation/clock.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import { collectRound, type RoundTerms } from '../../src/federation/coordinator/collect.ts'
import type { AgreedTerms } from '../../src/federation/helper/agreed-terms.ts'
import { helperApp } from '../../src/federation/helper/app.ts'
import { helperRounds } from '../../src/federation/helper/helper-rounds.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import type { AggregatorIdentity, Keys } from '../../src/federation/protocol/aggregator.ts'
import { toBase64Url } from '../../src/federation/protocol/bytes.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import { type JobItem, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { authorization, helperName, signedBytes } from '../../src/federation/protocol/signing.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import { type KeyRing, openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { type JobResult, joinedResults, startJob } from '../../src/federation/verification/jobs.ts'
import { ownThread, type Verifiers } from '../../src/federation/verification/verifiers.ts'
import type { LedgerTerms } from '../../src/privacy/ledger.ts'
import { exampleCoordinator, exampleTerms, openedRound, type SignedChange, signedRequest } from './example.ts'

export const LEDGER_TERMS: LedgerTerms = { dataset: 'example', unit: 'client', adjacency: 'add-remove' }
export const MAX_WEIGHT = 3

export function secretOf(n: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`client ${n}`).digest())
}

/** Terms of a round of two servers. */
export function multihotTerms(change: Partial<RoundTerms> = {}): RoundTerms {
  const options = {
    mode: 'multihot',
    maxTextsPerClient: 4,
    neighbours: 1,
    maxCandidates: MAX_WEIGHT,
  } as const
  return exampleTerms({ vote: voteTermsOf(options, 'l2'), ...change })
}

export interface PairOptions {
  readonly folder?: string
  readonly terms?: RoundTerms
  readonly clock?: Clock
  readonly multiproof?: boolean
  readonly jobSize?: number
  readonly budget?: LedgerTerms['budget']
  readonly verifiers?: Verifiers
  readonly agreed?: Partial<AgreedTerms>
  /** Whom the helper takes for the leader. */
  readonly leaderAtHelper?: AggregatorIdentity
  readonly patienceMs?: number
  /** Stands between the two: what the leader asks and what the helper answers. */
  readonly between?: (request: Request, helper: (request: Request) => Promise<Response>) => Promise<Response>
}

/** Opens both, or opens them again on the same folder. */
export async function openPair(options: PairOptions = {}) {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'two-')))
  const { clock = systemClock, multiproof = false, terms = multihotTerms() } = options
  const leaderKeys = await openKeyRing(join(folder, 'leader.keys'))
  const helperKeys = await openKeyRing(join(folder, 'helper.keys'))
  const leader = (await leaderKeys.current()).identity
  const helper = (await helperKeys.current()).identity
  const store = await sqlStore(await embeddedDatabase(join(folder, 'leader.db')))
  const atHelper = await helperStore(await embeddedDatabase(join(folder, 'helper.db')))
  const { rounds, embedder, texts, vote, noise, cohort } = terms
  const helpers = helperRounds({
    store: atHelper,
    keys: helperKeys,
    leader,
    agreed: {
      rounds,
      candidates: () => terms.candidates.rows,
      embedder,
      labels: terms.labels?.names ?? null,
      texts,
      vote,
      noise,
      cohort,
      aggregation: { mode: 'two-server', leader: leader.text, helper: helper.text, multiproof },
      ...options.agreed,
    },
    verifiers: ownThread(),
    releases: join(folder, 'shares'),
    ledger: join(folder, 'helper-ledger.jsonl'),
    terms: options.budget === undefined ? LEDGER_TERMS : { ...LEDGER_TERMS, budget: options.budget },
    clock,
  })
  const events: string[] = []
  const onEvent = (event: { readonly type: string }) => events.push(JSON.stringify(event))
  const atHelperApp = helperApp({
    rounds: helpers,
    keys: helperKeys,
    leader: options.leaderAtHelper ?? leader,
    name: helperName(helper.text),
    clock,
    onEvent,
  })
  /** What the helper says, whoever asks. */
  const askHelper = async (request: Request) => atHelperApp.request(request)
  const asked: { readonly request: Request; readonly response: Response }[] = []
  const connection = helperConnection({
    url: 'http://helper.test',
    identity: helper,
    keys: leaderKeys,
    clock,
    patienceMs: options.patienceMs ?? 300,
    fetch: async (input, init) => {
      const request = new Request(input, init)
      const kept = request.clone() as Request
      const response = await (options.between ?? ((r, h) => h(r)))(request, askHelper)
      asked.push({ request: kept, response: response.clone() as Response })
      return response
    },
  })
  const twoServer: TwoServerOptions = {
    store,
    keys: leaderKeys,
    helper: connection,
    helperIdentity: helper,
    verifiers: options.verifiers ?? ownThread(),
    multiproof,
    clock,
    ...(options.jobSize === undefined ? {} : { jobSize: options.jobSize }),
  }
  const aggregation = await twoServerAggregation(twoServer)
  const coordinator = await exampleCoordinator(store, { aggregation, clock, onEvent, publicCohort: true })
  const app = coordinatorApp(coordinator)
  const { task } = coordinator

  const enrol = async (n: number): Promise<ClientIdentity> => {
    const identity = await clientIdentity(secretOf(n))
    const { client, publicKey } = identity
    await store.addTokens([`token-${n}`], 0)
    await store.enrol({ tokenHash: `token-${n}`, client, publicKey, at: 0 })
    return identity
  }
  const keysNow = async () => (await (await app.request('http://coordinator.test/v1/keys')).json()) as Keys
  const manifestOf = async (hash: string) => (await coordinator.manifest(hash)) as Manifest
  /** An honest report; `change` is what a dishonest client does to its shares. */
  const reportOf = async (
    hash: string,
    n: number,
    places: readonly number[],
    change: (shares: Shares) => Shares = (shares) => shares,
  ): Promise<Uint8Array> => {
    const manifest = await manifestOf(hash)
    const vote = { indices: [...places], steps: places.map(() => 1n) }
    const shares = change(shareVote(manifest, hash, vote))
    const identity = await clientIdentity(secretOf(n))
    return sealReport(manifest, hash, shares, { keys: await keysNow(), identity, now: clock.now() })
  }
  const upload = async (hash: string, n: number, body: Uint8Array): Promise<Response> => {
    const path = `/v1/rounds/${hash}/vote`
    const secretKey = secretOf(n)
    const { client, publicKey } = await clientIdentity(secretKey)
    const signed = signedRequest({ client, publicKey, secretKey }, 'PUT', path, body, task, clock.now())
    const headers = { ...Object.fromEntries(signed.headers), 'content-type': aggregation.contentType }
    return app.request(new Request(signed.url, { method: 'PUT', headers, body: new Uint8Array(body) }))
  }
  const voteOf = async (hash: string, n: number, places: readonly number[]) => {
    await enrol(n)
    return upload(hash, n, await reportOf(hash, n, places))
  }
  /** Closes the round as its deadline would, without waiting for it. */
  const close = async (hash: string) => {
    await store.closeRound(hash)
    return collectRound(coordinator, terms)
  }
  const release = async (hash: string, round = terms.round) => {
    const closed = { hash, manifest: await manifestOf(hash), uploads: () => store.votes(hash) }
    return aggregation.release(closed, {
      file: join(folder, `release-${hash}.json`),
      ledger: join(folder, 'leader-ledger.jsonl'),
      terms: LEDGER_TERMS,
      charge: {
        run: terms.run,
        release: `round-${round}`,
        mechanism: { type: 'gaussian', noiseMultiplier: noise.noiseMultiplier },
      },
    })
  }
  const opening: AbortController[] = []
  return {
    ...{
      folder,
      store,
      atHelper,
      helpers,
      atHelperApp,
      askHelper,
      asked,
      events,
      app,
      coordinator,
      aggregation,
    },
    ...{ connection, leaderKeys, helperKeys, leader, helper, task, terms, twoServer },
    ...{ enrol, keysNow, manifestOf, reportOf, upload, voteOf, close, release },
    async open() {
      const stop = new AbortController()
      opening.push(stop)
      return (await openedRound(coordinator, terms, stop.signal)).hash
    },
    async shut() {
      for (const stop of opening) stop.abort()
      await store.close()
      await atHelper.close()
    },
  }
}

/** The exact sum of what was verified, which only somebody with both databases can put together. */
export async function exactSum({ store, atHelper, manifestOf }: Pair, hash: string) {
  const manifest = await manifestOf(hash)
  const results = [await store.jobs(hash), await atHelper.results(hash)]
  const [leader, helper] = results.map((jobs) => joinedResults({ manifest, hash }, jobs)) as [
    JobResult,
    JobResult,
  ]
  if (leader.accepted !== helper.accepted) throw new Error('the aggregators accepted different reports')
  return {
    accepted: leader.accepted,
    sum: voteVdaf(manifest).unshard([leader.share, helper.share], leader.accepted),
  }
}

/** A request to the helper, signed by whose keys these are. */
export async function leaderRequest(
  { leaderKeys, helper }: Pair,
  path: string,
  body: Uint8Array,
  change: SignedChange & { readonly keys?: KeyRing; readonly contentType?: string } = {},
): Promise<Request> {
  const own = await (change.keys ?? leaderKeys).current()
  const parts = {
    task: change.task ?? helperName(helper.text),
    method: change.signedMethod ?? 'PUT',
    path: change.signedPath ?? path,
    body: change.signedBody ?? body,
    time: change.time ?? Date.now(),
    nonce: change.nonce ?? toBase64Url(randomBytes(16)),
  }
  const json = body[0] === 123
  return new Request(`http://helper.test${path}`, {
    method: 'PUT',
    body: new Uint8Array(body),
    headers: {
      authorization: authorization(own.client, parts, own.sign(signedBytes(parts))),
      'content-type': change.contentType ?? (json ? 'application/json' : 'application/octet-stream'),
    },
  })
}

export type Pair = Awaited<ReturnType<typeof openPair>>

/** Pairs of a test file: opened in its tests and shut after each. */
export function pairsOf(afterEach: (after: () => Promise<void>) => void) {
  let opened: Pair[] = []
  afterEach(async () => {
    for (const pair of opened) await pair.shut()
    opened = []
  })
  const pairOf = async (options: PairOptions = {}): Promise<Pair> => {
    const pair = await openPair(options)
    opened.push(pair)
    return pair
  }
  return {
    pairOf,
    /** A pair with an open round and honest votes of the first clients for candidates 0 and 1. */
    async begun(honest = 3, options: PairOptions = {}) {
      const pair = await pairOf(options)
      const hash = await pair.open()
      for (let n = 0; n < honest; n++) {
        const { status } = await pair.voteOf(hash, n, [0, 1])
        if (status !== 200) throw new Error(`an honest vote was answered with ${status}`)
      }
      return { pair, hash }
    },
  }
}

export const honestSum = (count: number) => [count, count, 0, 0, 0, 0, 0, 0]
export const problemOf = async (response: Response) =>
  (await response.json()) as { code: string; detail?: string }
export const flipped = (bytes: Uint8Array, bit: number) =>
  bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))

/** What an honest leader makes of uploads for the helper; of the round's by default. */
export async function itemsOf(
  pair: Pair,
  hash: string,
  uploads?: readonly Uint8Array[],
  manifest?: Manifest,
): Promise<JobItem[]> {
  const keys = await pair.leaderKeys.current()
  const of = manifest ?? (await pair.manifestOf(hash))
  const all = [...(uploads ?? [])]
  if (uploads === undefined) for await (const upload of pair.store.votes(hash)) all.push(upload)
  const verifyKey = keys.verifyKey(pair.helper, of.task)
  return [...startJob({ manifest: of, hash, verifyKey, secrets: keys.openingSecrets(Date.now()) }, all).items]
}
