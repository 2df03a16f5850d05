// Two servers with a round, for tests of dishonest parties: reports of clients, honest or made by hand, requests signed by
// whoever, and what went between the two.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type ClientIdentity, clientIdentity } from '../../src/federation/client/identity.ts'
import { type Shares, sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { collectRound, type RoundTerms } from '../../src/federation/coordinator/collect.ts'
import type { Keys } from '../../src/federation/protocol/aggregator.ts'
import { sha256Hex, toBase64Url } from '../../src/federation/protocol/bytes.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import { type JobItem, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { authorization, BODY_HEADER, helperName, signedBytes } from '../../src/federation/protocol/signing.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import type { KeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { type JobResult, joinedResults, startJob } from '../../src/federation/verification/jobs.ts'
import type { LedgerTerms } from '../../src/privacy/ledger.ts'
import { client, openedRound, type SignedChange, SPOKEN } from './example.ts'
import { LEDGER_TERMS, type TwoServersOptions, twoServers, upload } from './two-servers.ts'

export const MAX_WEIGHT = 3

export function secretOf(n: number): Uint8Array {
  return client(n).secretKey
}

/** Terms of a round of two servers. */
export function multihotTerms(change: Partial<RoundTerms> = {}): Partial<RoundTerms> {
  const options = {
    mode: 'multihot',
    maxTextsPerClient: 4,
    neighbours: 1,
    maxCandidates: MAX_WEIGHT,
  } as const
  return { vote: voteTermsOf(options, 'l2'), ...change }
}

export interface PairOptions
  extends Pick<
    TwoServersOptions,
    'terms' | 'clock' | 'multiproof' | 'jobSize' | 'patienceMs' | 'onRetry' | 'leaderAtHelper'
  > {
  readonly budget?: LedgerTerms['budget']
  /** Stands between the two: what the leader asks and what the helper answers. */
  readonly between?: (request: Request, helper: (request: Request) => Promise<Response>) => Promise<Response>
}

async function openPair({ budget, between, ...options }: PairOptions = {}) {
  const events: string[] = []
  const onEvent = (event: object) => void events.push(JSON.stringify(event))
  const asked: { readonly request: Request; readonly response: Response }[] = []
  const servers = await twoServers({
    patienceMs: 300,
    ...options,
    terms: options.terms ?? multihotTerms(),
    ...(budget === undefined ? {} : { ledger: { ...LEDGER_TERMS, budget } }),
    coordinator: { onEvent, publicCohort: true },
    onHelperEvent: onEvent,
    between: (line) => async (input, init) => {
      const request = new Request(input, init)
      const kept = request.clone() as Request
      const response = await (between ?? ((one, helper) => helper(one)))(request, (one) => line(one))
      asked.push({ request: kept, response: response.clone() as Response })
      return response
    },
  })
  const { coordinator, store, app, folder, terms } = servers
  const { aggregation, task, clock } = coordinator

  const enrol = async (n: number): Promise<ClientIdentity> => {
    const identity = await clientIdentity(secretOf(n))
    await store.addTokens([`token-${n}`], 0)
    await store.enrol({
      tokenHash: `token-${n}`,
      client: identity.client,
      publicKey: identity.publicKey,
      at: 0,
    })
    return identity
  }
  const keysNow = async () =>
    (await (await app.request('http://coordinator.test/v1/keys', { headers: SPOKEN })).json()) as Keys
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
  const send = (hash: string, n: number, body: Uint8Array) => upload(servers, hash, n, body)
  const opening: AbortController[] = []
  return {
    ...servers,
    ...{ asked, events, aggregation, task, enrol, keysNow, manifestOf, reportOf, upload: send },
    atHelper: servers.rounds.store,
    ledgers: {
      leader: join(folder, 'leader/ledger.jsonl'),
      helper: join(folder, 'helper/ledger.jsonl'),
    },
    released: {
      leader: () => servers.release.file,
      helper: (hash: string) => join(folder, 'helper/releases', `${hash}.json`),
    },
    /** What the helper says, whoever asks. */
    askHelper: async (request: Request) => servers.second.fetch(request),
    async voteOf(hash: string, n: number, places: readonly number[]) {
      await enrol(n)
      return send(hash, n, await reportOf(hash, n, places))
    },
    /** Closes the round as its deadline would, without waiting for it. */
    async close(hash: string) {
      await store.closeRound(hash)
      return collectRound(coordinator, terms)
    },
    async release(hash: string) {
      const closed = { hash, manifest: await manifestOf(hash), uploads: () => store.votes(hash) }
      return aggregation.release(closed, servers.release)
    },
    async open() {
      const stop = new AbortController()
      opening.push(stop)
      return (await openedRound(coordinator, terms, stop.signal)).hash
    },
    async shut() {
      for (const stop of opening) stop.abort()
      await store.close()
      await servers.rounds.store.close()
    },
  }
}

export type Pair = Awaited<ReturnType<typeof openPair>>

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
  change: SignedChange & {
    readonly keys?: KeyRing
    readonly contentType?: string
    readonly bodyAhead?: Uint8Array
  } = {},
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
      ...SPOKEN,
      authorization: authorization(own.client, parts, own.sign(signedBytes(parts))),
      [BODY_HEADER]: sha256Hex(change.bodyAhead ?? body),
      'content-type': change.contentType ?? (json ? 'application/json' : 'application/octet-stream'),
    },
  })
}

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
