// The helper does not take the leader's word: terms, reports, sums, noise and keys are its own business, whatever is sent to it.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { helperConnection } from '../../src/federation/aggregation/helper-connection.ts'
import { clientIdentity } from '../../src/federation/client/identity.ts'
import { sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { keepNewestKey, newestKey } from '../../src/federation/client/state.ts'
import { collectRound } from '../../src/federation/coordinator/collect.ts'
import type { AgreedTerms } from '../../src/federation/helper/agreed-terms.ts'
import { sealingKey } from '../../src/federation/protocol/aggregator.ts'
import { sha256Hex, toBase64Url, utf8 } from '../../src/federation/protocol/bytes.ts'
import { type Manifest, manifestBytes, manifestHash } from '../../src/federation/protocol/manifest.ts'
import type { Problem } from '../../src/federation/protocol/messages.ts'
import {
  decodeAnswers,
  decodeJob,
  decodeReport,
  encodeJob,
  encodeReport,
  helperSigned,
  reportRound,
} from '../../src/federation/protocol/report-bytes.ts'
import {
  authorization,
  BODY_HEADER,
  helperName,
  type SignedParts,
  signedBytes,
  signRequest,
} from '../../src/federation/protocol/signing.ts'
import {
  openingKey,
  openKeyRing,
  rotateSealingKey,
} from '../../src/federation/verification/aggregator-keys.ts'
import { answerJob, startJob, type VerifyingRound } from '../../src/federation/verification/jobs.ts'
import { openSealed } from '../../src/federation/verification/open-sealed.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import { client, enrolAll, manualClock, openedRound, SPOKEN } from './example.ts'
import {
  enrolledClient,
  exactSum,
  LEDGER_TERMS,
  memoryState,
  reportOf,
  type TwoServers,
  type TwoServersOptions,
  twoServers,
  upload,
} from './two-servers.ts'

/** Servers with an open round and so many clients. */
async function withRound(count: number, options: TwoServersOptions = {}) {
  const servers = await twoServers(options)
  await enrolAll(servers.store, count)
  const stop = new AbortController()
  const { hash } = await openedRound(servers.coordinator, servers.terms, stop.signal)
  stop.abort()
  const manifest = (await servers.coordinator.manifest(hash)) as Manifest
  const closed = { hash, manifest, uploads: () => servers.store.votes(hash) }
  const vote = async (n: number, indices: readonly number[] = [n % 8]) =>
    (await upload(servers, hash, n, await reportOf(servers, hash, n, indices))).status
  return { servers, hash, manifest, closed, vote }
}

/** A job as the leader would send it. */
async function jobFor(servers: TwoServers, manifest: Manifest, hash: string, reports: readonly Uint8Array[]) {
  const round = await verifyingRound(servers, manifest, hash)
  const { vdaf } = reportRound(manifest, hash)
  const { items } = startJob(round, reports)
  return { vdaf, items, body: encodeJob(vdaf, items) }
}

async function verifyingRound(
  servers: TwoServers,
  manifest: Manifest,
  hash: string,
): Promise<VerifyingRound> {
  const keys = await servers.leaderKeys.current()
  return {
    manifest,
    hash,
    verifyKey: keys.verifyKey(servers.helper, manifest.task),
    secrets: keys.openingSecrets(Date.now()),
  }
}

describe('terms', () => {
  const changes: readonly (readonly [string, Partial<AgreedTerms>, string])[] = [
    ['candidates', { candidates: () => 9 }, 'candidates.count: the round has 8, the helper’s config 9'],
    ['rounds', { rounds: 3 }, 'rounds: the round has 2, the helper’s config 3'],
    [
      'noise',
      { noise: { noiseMultiplier: 3, unit: 'client', adjacency: 'add-remove', delta: 1e-5 } },
      'noise.noiseMultiplier: the round has 2, the helper’s config 3',
    ],
    [
      'delta',
      { noise: { noiseMultiplier: 2, unit: 'client', adjacency: 'add-remove', delta: 1e-6 } },
      'noise.delta: the round has 0.00001, the helper’s config 0.000001',
    ],
    [
      'adjacency',
      { noise: { noiseMultiplier: 2, unit: 'client', adjacency: 'substitution', delta: 1e-5 } },
      'noise.adjacency: the round has "add-remove", the helper’s config "substitution"',
    ],
    [
      'cohort',
      { cohort: { minimum: 3, target: null, seats: null } },
      'cohort.minimum: the round has 2, the helper’s config 3',
    ],
    [
      'texts',
      { texts: { minWords: 2, maxWords: 100 } },
      'texts.minWords: the round has 1, the helper’s config 2',
    ],
    ['labels', { labels: ['a'] }, 'labels: the round has null, the helper’s config ["a"]'],
  ]
  it.each(changes)(
    'that differ in %s are refused by name, before a client hears of the round',
    async (_, agreed, detail) => {
      const servers = await twoServers({ agreed })
      await expect(openedRoundOrError(servers)).rejects.toThrow(
        `the helper refused: the round differs from what the helper’s operator agreed to (${detail})`,
      )
      expect(await servers.store.rounds()).toEqual([])
    },
  )

  it('bound, embedder and aggregators are held to as well', async () => {
    const servers = await twoServers()
    const { agreed } = servers
    const { hash } = await openedRound(servers.coordinator, servers.terms)
    const manifest = (await servers.coordinator.manifest(hash)) as Manifest
    const cases: readonly (readonly [Partial<Manifest>, string])[] = [
      [{ vote: { ...manifest.vote, maxTextsPerClient: 5, boundSquared: '5' } }, 'vote.maxTextsPerClient'],
      [{ vote: { ...manifest.vote, boundSquared: '5' } }, 'vote.boundSquared'],
      [{ aggregation: { ...agreed.aggregation, multiproof: true } as never }, 'aggregation.multiproof'],
      [{ aggregation: { mode: 'trusted' } }, 'aggregation.mode'],
      [{ round: 3 }, 'round: the run has 2 rounds'],
    ]
    for (const [change, field] of cases) {
      const other = { ...manifest, ...change }
      const document = manifestBytes(other)
      await expect(servers.connection.announce(manifestHash(other), document), field).rejects.toThrow(field)
    }
  })
})

const problemOf = async (answer: Response) => (await answer.json()) as Problem

async function openedRoundOrError(servers: TwoServers): Promise<void> {
  await collectRound(servers.coordinator, servers.terms)
}

describe('aggregation jobs', () => {
  it('again give the same answer, byte for byte; other reports under the same number are refused', async () => {
    const { servers, hash, manifest } = await withRound(4)
    const reports = await Promise.all([0, 1, 2].map((n) => reportOf(servers, hash, n, [n])))
    const { body, vdaf } = await jobFor(servers, manifest, hash, reports)
    const first = await servers.connection.job(hash, 0, body)
    expect(decodeAnswers(vdaf, first).map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'accepted',
      'accepted',
    ])
    expect([...(await servers.connection.job(hash, 0, body))]).toEqual([...first])
    const other = await jobFor(servers, manifest, hash, [await reportOf(servers, hash, 3, [1])])
    await expect(servers.connection.job(hash, 0, other.body)).rejects.toThrow(
      'other reports came under this number',
    )
    expect((await servers.rounds.store.results(hash)).map(({ accepted }) => accepted)).toEqual([3])
  })

  it('count one report of a client, and one of an id, whatever the leader does', async () => {
    const { servers, hash, manifest } = await withRound(4)
    const report = await reportOf(servers, hash, 0, [0])
    const second = await reportOf(servers, hash, 0, [1])
    const outcomes = async (number: number, reports: readonly Uint8Array[]) => {
      const { body, vdaf } = await jobFor(servers, manifest, hash, reports)
      return decodeAnswers(vdaf, await servers.connection.job(hash, number, body)).map(
        ({ outcome }) => outcome,
      )
    }
    expect(await outcomes(0, [report, report, second])).toEqual(['accepted', 'seen', 'seen'])
    expect(await outcomes(1, [report, second])).toEqual(['seen', 'seen'])
    expect((await servers.rounds.store.results(hash)).map(({ accepted }) => accepted)).toEqual([1, 0])
  })

  it('a round that its leader left is forgotten a week after its deadline, when the next one comes', async () => {
    const clock = manualClock(Date.now())
    const { servers, hash, manifest } = await withRound(1, { clock })
    const { store } = servers.rounds
    const { body } = await jobFor(servers, manifest, hash, [await reportOf(servers, hash, 0, [1])])
    await servers.connection.job(hash, 0, body)
    const next = (later: number) => {
      clock.advance(later)
      const other = {
        ...manifest,
        run: manifest.run.replace(/./g, 'b'),
        opened: clock.now(),
        deadline: clock.now() + 1000,
      }
      return servers.connection.announce(manifestHash(other), manifestBytes(other))
    }
    await next(manifest.deadline - clock.now() + 7 * 86_400_000 - 1000)
    expect(await store.results(hash)).toHaveLength(1)
    await next(2000)
    expect(await store.results(hash)).toEqual([])
    expect((await store.round(hash))?.state).toBe('refused')
  })

  it('reject what its client did not sign, and that keeps the client’s own report not out', async () => {
    const { servers, hash, manifest } = await withRound(2)
    const report = await reportOf(servers, hash, 0, [0])
    const { items, vdaf } = await jobFor(servers, manifest, hash, [report])
    const item = items[0] as (typeof items)[0]
    // The leader gives a report of client 0 out as one of client 1, whose signature it has not.
    const stolen = { ...item, client: client(1).publicKey }
    const send = async (number: number, job: typeof items) =>
      decodeAnswers(vdaf, await servers.connection.job(hash, number, encodeJob(vdaf, job))).map(
        ({ outcome }) => outcome,
      )
    expect(await send(0, [stolen])).toEqual(['signature'])
    expect(await send(1, [item])).toEqual(['accepted'])
    const own = await jobFor(servers, manifest, hash, [await reportOf(servers, hash, 1, [5])])
    expect(await send(2, own.items as typeof items)).toEqual(['accepted'])
  })

  it('reject a share under another client, round, role or report: 2,000 changed reports, none accepted', async () => {
    const { servers, hash, manifest } = await withRound(1)
    const report = await reportOf(servers, hash, 0, [0, 3])
    const round = await verifyingRound(servers, manifest, hash)
    const helperRound = { ...round, secrets: (await servers.helperKeys.current()).openingSecrets(Date.now()) }
    const { vdaf } = reportRound(manifest, hash)
    const { items } = startJob(round, [report])
    const whole = encodeJob(vdaf, items)
    expect(answerJob(helperRound, decodeJob(vdaf, whole)).result.accepted).toBe(1)
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: whole.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const changed = whole.slice()
          changed[at] = (changed[at] as number) ^ change
          return answerJob(helperRound, decodeJob(vdaf, changed)).result.accepted === 0
        },
      ),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: report.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const changed = report.slice()
          changed[at] = (changed[at] as number) ^ change
          const started = startJob(round, [changed])
          // What only the helper reads may pass the leader, and is rejected there.
          return answerJob(helperRound, started.items).result.accepted === 0
        },
      ),
      { numRuns: 1000 },
    )
    const otherRound = { ...helperRound, hash: 'f'.repeat(64) }
    expect(answerJob(otherRound, items).answers.map(({ outcome }) => outcome)).toEqual(['signature'])
  })

  it('end in one answer of both, even where a client lies about the other server’s part of the randomness', async () => {
    const { servers, hash, manifest } = await withRound(1)
    const { vdaf } = reportRound(manifest, hash)
    const identity = await clientIdentity(client(0).secretKey)
    const now = Date.now()
    const keys = {
      leader: (await servers.leaderKeys.current()).sealingKeys(now),
      helper: (await servers.helperKeys.current()).sealingKeys(now),
    }
    const round = await verifyingRound(servers, manifest, hash)
    const shares = shareVote(manifest, hash, { indices: [0], steps: [1n] })
    const half = vdaf.sizes.verifierMessage
    for (const [part, rejectedBy] of [
      [0, 'leader'],
      [half, 'helper'],
    ] as const) {
      const publicShare = shares.publicShare.slice()
      publicShare[part] = (publicShare[part] as number) ^ 1
      const report = await sealReport(manifest, hash, { ...shares, publicShare }, { keys, identity, now })
      const { items } = startJob(round, [report])
      if (rejectedBy === 'leader') expect(items).toEqual([])
      else {
        const helperRound = { ...round, secrets: (await servers.helperKeys.current()).openingSecrets(now) }
        expect(answerJob(helperRound, items).answers.map(({ outcome }) => outcome)).toEqual(['malformed'])
      }
    }
  })

  it('of a round that is over are refused', async () => {
    const { servers, hash, manifest, closed, vote } = await withRound(3)
    for (let n = 0; n < 3; n++) expect(await vote(n)).toBe(200)
    await servers.coordinator.aggregation.counted?.(closed)
    await servers.coordinator.aggregation.release(closed, servers.release)
    const { body } = await jobFor(servers, manifest, hash, [await reportOf(servers, hash, 3, [0])])
    await expect(servers.connection.job(hash, 7, body)).rejects.toThrow('the round takes no more votes')
  })
})

describe('the release of a share', () => {
  it('is the same bytes for ever, and one charge', async () => {
    const { servers, hash, closed, vote } = await withRound(3)
    for (let n = 0; n < 3; n++) await vote(n)
    await servers.coordinator.aggregation.counted?.(closed)
    const jobs = await servers.store.jobs(hash)
    const sums = { count: 3, checksum: Buffer.from(jobs[0]?.checksum as Uint8Array).toString('hex') }
    const first = await servers.connection.release(hash, sums)
    for (let again = 0; again < 3; again++)
      expect(toBase64Url(await servers.connection.release(hash, sums))).toBe(toBase64Url(first))
    expect(chargesIn(await readLedger(`${servers.folder}/helper/ledger.jsonl`))).toHaveLength(1)
    await expect(servers.connection.release(hash, { ...sums, count: 2 })).rejects.toThrow('other reports')
  })

  it('is refused where the accepted reports differ, or are fewer than the helper’s own minimum', async () => {
    const { servers, hash, manifest } = await withRound(3, {
      terms: { cohort: { minimum: 3, target: null, seats: null } },
    })
    const zero = { count: 0, checksum: '0'.repeat(64) }
    await expect(servers.connection.release(hash, zero)).rejects.toThrow(
      'fewer valid votes than the minimum cohort',
    )
    const { body } = await jobFor(servers, manifest, hash, [await reportOf(servers, hash, 0, [0])])
    await servers.connection.job(hash, 0, body)
    // A batch of one: its sum would be a vote.
    const [result] = await servers.rounds.store.results(hash)
    const checksum = Buffer.from(result?.checksum as Uint8Array).toString('hex')
    await expect(servers.connection.release(hash, { count: 1, checksum })).rejects.toThrow(
      'fewer valid votes than the minimum cohort',
    )
    await expect(servers.connection.release(hash, { count: 3, checksum })).rejects.toThrow(
      'the reports that the two aggregators accepted differ',
    )
    expect(chargesIn(await readLedger(`${servers.folder}/helper/ledger.jsonl`))).toEqual([])
  })

  it('is refused beyond the helper’s own budget, before anything is charged by either', async () => {
    // One release at noise multiplier 2 costs 2.25 at 1e-6, and more at 1e-5 than 0.5.
    const ledger = { ...LEDGER_TERMS, budget: { epsilon: 0.5, delta: 1e-5 } }
    const { servers, closed, vote } = await withRound(3, { ledger })
    for (let n = 0; n < 3; n++) await vote(n)
    await servers.coordinator.aggregation.counted?.(closed)
    const release = { ...servers.release, terms: LEDGER_TERMS }
    await expect(servers.coordinator.aggregation.release(closed, release)).rejects.toMatchObject({
      code: 'budget',
      message: 'the helper refused: the helper’s ledger does not allow this release (the budget is spent)',
    })
    for (const who of ['leader', 'helper'])
      expect(chargesIn(await readLedger(`${servers.folder}/${who}/ledger.jsonl`))).toEqual([])
  })

  it('is one for a run and round: another attempt at it gets none', async () => {
    const { servers, hash, manifest, closed, vote } = await withRound(3)
    for (let n = 0; n < 3; n++) await vote(n)
    await servers.coordinator.aggregation.counted?.(closed)
    await servers.coordinator.aggregation.release(closed, servers.release)
    const other: Manifest = { ...manifest, attempt: 2 }
    const name = manifestHash(other)
    await servers.connection.announce(name, manifestBytes(other))
    const reports = await Promise.all([0, 1, 2].map((n) => reportFor(servers, other, n)))
    const { body } = await jobFor(servers, other, name, reports)
    await servers.connection.job(name, 0, body)
    const [result] = await servers.rounds.store.results(name)
    const checksum = Buffer.from(result?.checksum as Uint8Array).toString('hex')
    await expect(servers.connection.release(name, { count: 3, checksum })).rejects.toThrow(
      'the ledger refuses it',
    )
    expect(hash).not.toBe(name)
  })
})

async function reportFor(servers: TwoServers, manifest: Manifest, n: number): Promise<Uint8Array> {
  const hash = manifestHash(manifest)
  const now = Date.now()
  const keys = {
    leader: (await servers.leaderKeys.current()).sealingKeys(now),
    helper: (await servers.helperKeys.current()).sealingKeys(now),
  }
  const shares = shareVote(manifest, hash, { indices: [n], steps: [1n] })
  return sealReport(manifest, hash, shares, {
    keys,
    identity: await clientIdentity(client(n).secretKey),
    now,
  })
}

describe('who is asked, and who asks', () => {
  it('nobody but the leader is heard: unsigned, by another key, for another helper, changed, late, replayed', async () => {
    const { servers, hash } = await withRound(1)
    const path = `/v1/rounds/${hash}/refused`
    const name = helperName(servers.helper.text)
    const own = await servers.leaderKeys.current()
    const put = (authorization: string | undefined, body = '{}') =>
      servers.second.request(path, {
        method: 'PUT',
        body,
        headers: {
          ...SPOKEN,
          'content-type': 'application/json',
          [BODY_HEADER]: sha256Hex(utf8(body)),
          ...(authorization === undefined ? {} : { authorization }),
        },
      })
    const parts = {
      task: name,
      method: 'PUT',
      path,
      body: utf8('{}'),
      time: Date.now(),
      nonce: toBase64Url(randomBytes(16)),
    }
    const header = await leaderHeader(own, parts)
    const cases: readonly (readonly [string | undefined, string | undefined, number, string])[] = [
      [undefined, '{}', 401, 'unsigned'],
      [signRequest(client(3), parts), '{}', 401, 'unsigned'],
      [await leaderHeader(own, { ...parts, task: helperName(servers.leader.text) }), '{}', 401, 'unsigned'],
      [await leaderHeader(own, { ...parts, path: `/v1/rounds/${hash}/release` }), '{}', 401, 'unsigned'],
      [header, '{ }', 401, 'unsigned'],
      [await leaderHeader(own, { ...parts, time: Date.now() - 301_000 }), '{}', 401, 'expired'],
    ]
    for (const [authorization, body, status, code] of cases) {
      const answer = await put(authorization, body)
      expect([answer.status, (await problemOf(answer)).code]).toEqual([status, code])
    }
    expect((await put(header)).status).toBe(200)
    expect((await problemOf(await put(header))).code).toBe('replayed')
  })

  it('a coordinator that the helper’s config does not name hears so at once', async () => {
    const { second, helper, folder } = await twoServers()
    const stranger = helperConnection({
      url: 'http://helper.test',
      identity: helper,
      keys: await openKeyRing(join(folder, 'stranger.json')),
      fetch: (async (input, init) => second.fetch(new Request(input, init))) as typeof fetch,
    })
    await expect(stranger.refuse('a'.repeat(64))).rejects.toMatchObject({
      message: 'the helper refused: the request has no valid signature of an enrolled client',
      hint: expect.stringContaining('federation.leader.identity'),
    })
  })

  it('an answer counts only if the helper signed it, for this request', async () => {
    let swap: ((response: Response) => Response | Promise<Response>) | undefined
    const kept: Response[] = []
    const servers = await twoServers({
      patienceMs: 1,
      between: (line) => async (input, init) => {
        const response = await line(input, init)
        if (init?.method === 'PUT') kept.push(response.clone())
        return init?.method === 'PUT' && swap !== undefined ? swap(response) : response
      },
    })
    const { hash } = await openedRound(servers.coordinator, servers.terms)
    const refuse = () => servers.connection.refuse(hash)
    await refuse()
    const before = kept.at(-1) as Response
    const swaps: readonly ((response: Response) => Response)[] = [
      () => new Response('{}', { status: 200, headers: SPOKEN }),
      () => before.clone(),
      (response) => new Response('{} ', { status: 200, headers: response.headers }),
      (response) => new Response(null, { status: 204, headers: response.headers }),
    ]
    for (const one of swaps) {
      swap = one
      await expect(refuse()).rejects.toThrow('its answer is not signed by it')
    }
    swap = undefined
    await refuse()
  })
})

/** The header of a request that the leader signs. */
async function leaderHeader(
  own: Awaited<ReturnType<TwoServers['leaderKeys']['current']>>,
  parts: SignedParts,
): Promise<string> {
  return authorization(own.client, parts, own.sign(signedBytes(parts)))
}

describe('sealing', () => {
  it('is HPKE: what @hpke/core seals is opened here, and nothing that was changed', async () => {
    const suite = new CipherSuite({
      kem: new DhkemX25519HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Aes128Gcm(),
    })
    for (let i = 0; i < 20; i++) {
      const pair = await suite.kem.generateKeyPair()
      const publicKey = new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey))
      const secret = new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey))
      const [info, aad, text] = [5, 70, 1 + i * 99].map((size) => new Uint8Array(randomBytes(size)))
      const { enc, ct } = await suite.seal(
        { recipientPublicKey: pair.publicKey, info: (info as Uint8Array).buffer as ArrayBuffer },
        (text as Uint8Array).buffer as ArrayBuffer,
        (aad as Uint8Array).buffer as ArrayBuffer,
      )
      const box = new Uint8Array([...new Uint8Array(enc), ...new Uint8Array(ct)])
      const bound = { info: info as Uint8Array, aad: aad as Uint8Array }
      const key = openingKey({ secret, publicKey })
      expect(openSealed(key, box, bound)).toEqual(text)
      for (const at of [0, 31, 32, box.length - 1]) {
        const changed = box.slice()
        changed[at] = (changed[at] as number) ^ 1
        expect(openSealed(key, changed, bound)).toBeUndefined()
      }
      expect(openSealed(key, box, { ...bound, info: new Uint8Array(5) })).toBeUndefined()
      expect(openSealed(key, box, { ...bound, aad: new Uint8Array(70) })).toBeUndefined()
      expect(openSealed(key, new Uint8Array(48), bound)).toBeUndefined()
    }
  })

  it('both servers derive the same verify key of a task, and another one for another task', async () => {
    const { leaderKeys, helperKeys, leader, helper } = await twoServers()
    const task = 'a'.repeat(32)
    const own = (await leaderKeys.current()).verifyKey(helper, task)
    expect((await helperKeys.current()).verifyKey(leader, task)).toEqual(own)
    expect((await helperKeys.current()).verifyKey(leader, 'b'.repeat(32))).not.toEqual(own)
  })

  it('keys that another signed, or that ran out, are refused by the client', async () => {
    const { leaderKeys, helperKeys, helper } = await twoServers()
    const now = Date.now()
    const keys = (await helperKeys.current()).sealingKeys(now)
    expect(sealingKey(keys, helper, now).id).toBe(keys.keys[0]?.id)
    const other = (await leaderKeys.current()).sealingKeys(now)
    for (const wrong of [
      other,
      { ...other, identity: helper.text },
      { ...keys, keys: other.keys },
      { ...keys, until: keys.until + 1 },
    ])
      expect(() => sealingKey(wrong, helper, now)).toThrow(
        'expected keys that the aggregator of this round signed',
      )
    expect(() => sealingKey(keys, helper, keys.until)).toThrow('expected keys')
    expect(keys.until - now).toBe(6 * 3_600_000)
  })

  it('a key that was replaced is refused by whoever saw the next one, whoever still serves it', async () => {
    const { leaderKeys, helperKeys, helper, helperKeyFile, connection, second } = await twoServers()
    const now = Date.now()
    const before = (await helperKeys.current()).sealingKeys(now)
    const { created } = sealingKey(before, helper, now)
    // A clock that went back makes no older key.
    await rotateSealingKey(helperKeyFile, created - 60_000, 0)
    const after = (await helperKeys.current()).sealingKeys(now)
    const newest = sealingKey(after, helper, now, created).created
    expect(newest).toBeGreaterThan(created)
    expect(() => sealingKey(before, helper, now, newest)).toThrow(
      'expected the newest sealing key of an aggregator, got one that it had replaced',
    )
    // Nor is the time of a key anybody else's to say.
    const [first, ...rest] = before.keys
    const newer = { ...before, keys: [{ ...(first as (typeof before.keys)[0]), created: newest }, ...rest] }
    expect(() => sealingKey(newer as typeof before, helper, now, newest)).toThrow('signed lately')
    // The leader, too, does not take a network's old copy.
    await connection.sealingKeys()
    let stale = true
    const line = helperConnection({
      url: 'http://helper.test',
      identity: helper,
      keys: leaderKeys,
      fetch: (async (input, init) =>
        stale
          ? Response.json(before, { headers: SPOKEN })
          : second.fetch(new Request(input, init))) as typeof fetch,
    })
    stale = false
    await line.sealingKeys()
    stale = true
    await expect(line.sealingKeys()).rejects.toThrow('one that it had replaced')
  })

  it('while the helper is away clients vote under its signed keys, and for no longer', async () => {
    const clock = manualClock(Date.now())
    let away = false
    const servers = await twoServers({
      clock,
      terms: { openSeconds: 86_400 },
      between: (line) => (input, init) =>
        away ? Promise.reject(new TypeError('fetch failed')) : line(input, init),
    })
    const stop = new AbortController()
    await openedRound(servers.coordinator, servers.terms, stop.signal)
    stop.abort()
    const keys = () =>
      Promise.resolve(servers.app.request('http://coordinator.test/v1/keys', { headers: SPOKEN }))
    expect((await keys()).status).toBe(200)
    away = true
    clock.advance(6 * 3_600_000 - 1)
    expect((await keys()).status).toBe(200)
    clock.advance(1)
    const answer = await keys()
    expect([answer.status, (await problemOf(answer)).code]).toEqual([503, 'try-later'])
    away = false
    expect((await keys()).status).toBe(200)
  })

  it('goes on through a rotation in the middle of a round: no vote is lost, one retry', async () => {
    const { servers, hash, closed, vote } = await withRound(2)
    expect(await vote(0)).toBe(200)
    // Sealed before, sent after: the old keys are taken for their time of grace.
    const early = await reportOf(servers, hash, 1, [1])
    for (const file of [servers.leaderKeyFile, servers.helperKeyFile])
      await rotateSealingKey(file, Date.now(), 60_000)
    expect((await upload(servers, hash, 1, early)).status).toBe(200)
    // Without grace: a client of Node, whose keys are changed between fetching and sending.
    const state = memoryState()
    const puts: Uint8Array[] = []
    const person = await enrolledClient(servers, {
      state,
      fetch: (async (input, init) => {
        if (init?.method === 'PUT') {
          const body = init.body as Uint8Array
          if (puts.length === 0) await rotateSealingKey(servers.leaderKeyFile, Date.now(), 0)
          puts.push(new Uint8Array(body))
        }
        return servers.fetch(input, init)
      }) as typeof fetch,
    })
    const events = []
    for await (const event of person.participate({ texts: ['some words of a text'] }, { rounds: 1 }))
      events.push(event.type)
    expect(events).toEqual(['task', 'round', 'voted', 'finished'])
    const { vdaf } = reportRound(closed.manifest, hash)
    const [first, second, ...more] = puts.map((report) => decodeReport(vdaf, report))
    expect(more).toEqual([])
    expect(second?.id).toEqual(first?.id)
    expect(second?.publicShare).toEqual(first?.publicShare)
    expect(second?.leader.keyId).not.toBe(first?.leader.keyId)
    expect(await servers.coordinator.aggregation.counted?.(closed)).toBe(3)
    expect((await exactSum(servers, hash)).reduce((a, b) => a + b)).toBe(3)
  })

  it('forgets a secret a week after its key ran out, at the next start', async () => {
    const { helperKeys, helperKeyFile } = await twoServers()
    const kept = async () => JSON.parse(await readFile(helperKeyFile, 'utf8')).sealing.length
    const week = 7 * 86_400_000
    await rotateSealingKey(helperKeyFile, Date.now() - week + 60_000, 0)
    expect((await helperKeys.current()).openingSecrets(Date.now()).size).toBe(2)
    expect((await helperKeys.current()).openingSecrets(Date.now() + 60_000).size).toBe(1)
    expect(await kept()).toBe(2)
    await rotateSealingKey(helperKeyFile, Date.now() - week - 1, 0)
    expect(await kept()).toBe(3)
    await openKeyRing(helperKeyFile)
    expect(await kept()).toBe(2)
  })

  it('after a rotation a vote that was counted is known, and one under a forgotten key is refused', async () => {
    const { servers, hash } = await withRound(2)
    const counted = await reportOf(servers, hash, 0, [0])
    const late = await reportOf(servers, hash, 1, [1])
    expect((await upload(servers, hash, 0, counted)).status).toBe(200)
    await rotateSealingKey(servers.leaderKeyFile, Date.now() - 1, 0)
    expect((await upload(servers, hash, 0, counted)).status).toBe(200)
    const answer = await upload(servers, hash, 1, late)
    expect([answer.status, (await problemOf(answer)).code]).toEqual([409, 'outdated-key'])
  })
})

describe('a client', () => {
  it('keeps to the helper of its first round, or to the one that it was told', async () => {
    const servers = await twoServers()
    await openedRound(servers.coordinator, servers.terms)
    const other = (await servers.leaderKeys.current()).identity.text
    const reasons = async (state: ReturnType<typeof memoryState>, policy = {}) => {
      const person = await enrolledClient(servers, { state, policy })
      for await (const event of person.participate({ texts: ['some words of a text'] }, { rounds: 1 })) {
        if (event.type === 'refused') return event.reasons
      }
      return []
    }
    const told = await reasons(memoryState(), { helper: other })
    expect(told).toEqual([
      `its second server is ${servers.helper.text.slice(0, 17)}...; you named ${other.slice(0, 17)}...`,
    ])
    const state = memoryState()
    state.values.set(`helper-${servers.coordinator.task}`, other)
    expect(await reasons(state)).toEqual([
      `its second server is ${servers.helper.text.slice(0, 17)}...; it was ${other.slice(0, 17)}... before`,
    ])
    const fresh = memoryState()
    expect(await reasons(fresh, { helper: servers.helper.text })).toEqual([])
    expect(fresh.values.get(`helper-${servers.coordinator.task}`)).toBe(servers.helper.text)
  })

  it('seals to no key that was replaced before its eyes, nor charges for it: a leader hides no change of keys', async () => {
    const servers = await twoServers({ terms: { openSeconds: 3600 } })
    const { hash } = await openedRound(servers.coordinator, servers.terms)
    const manifest = (await servers.coordinator.manifest(hash)) as Manifest
    const answer = async () => ({
      leader: (await servers.leaderKeys.current()).sealingKeys(Date.now()),
      helper: (await servers.helperKeys.current()).sealingKeys(Date.now()),
    })
    const before = await answer()
    await rotateSealingKey(servers.helperKeyFile, Date.now(), 0)
    // It saw the new key in another round; the leader serves the old one, signed and not run out.
    const state = memoryState()
    await keepNewestKey(state.storage, (await answer()).helper)
    const sent: string[] = []
    const person = await enrolledClient(servers, {
      state,
      fetch: (async (input, init) => {
        if (init?.method === 'PUT') sent.push(String(input))
        return String(input).endsWith('/v1/keys')
          ? Response.json(before, { headers: SPOKEN })
          : servers.fetch(input, init)
      }) as typeof fetch,
    })
    const take = async () => {
      for await (const _ of person.participate({ texts: ['some words of a text'] }, { rounds: 1 })) {
        // Until it votes or fails.
      }
    }
    await expect(take()).rejects.toThrow('got one that it had replaced')
    expect(sent).toEqual([])
    expect(await state.ledger.has(manifest.task, `${manifest.run}/round-1`)).toBe(false)
    // One that votes remembers what it sealed to.
    const fresh = memoryState()
    const other = await enrolledClient(servers, { state: fresh })
    for await (const _ of other.participate({ texts: ['some words of a text'] }, { rounds: 1 })) {
      // Until it has voted.
    }
    const now = await answer()
    expect(await newestKey(fresh.storage, servers.helper.text)).toBe(now.helper.keys[0]?.created)
    expect(await newestKey(fresh.storage, servers.leader.text)).toBe(now.leader.keys[0]?.created)
  })

  it('that demands two servers refuses a trusted round, and the other way round', async () => {
    const servers = await twoServers()
    await openedRound(servers.coordinator, servers.terms)
    const person = await enrolledClient(servers, { policy: { aggregation: ['trusted'] } })
    const events = []
    for await (const event of person.participate({ texts: ['some words of a text'] })) events.push(event)
    expect(events.at(-1)).toMatchObject({
      type: 'refused',
      reasons: ['its aggregation is two-server; you agreed to trusted'],
    })
  })

  it('is not counted with a report of another client, of another round, or one cut short', async () => {
    const { servers, hash, manifest, closed } = await withRound(2)
    const report = await reportOf(servers, hash, 0, [0])
    const refusal = async (n: number, body: Uint8Array) => {
      const answer = await upload(servers, hash, n, body)
      return [answer.status, (await problemOf(answer)).detail]
    }
    expect(await refusal(1, report)).toEqual([422, 'the report is of another client'])
    expect(await refusal(0, report.slice(1))).toEqual([
      422,
      `expected a report of ${report.length} bytes, got ${report.length - 1}`,
    ])
    const { vdaf } = reportRound(manifest, hash)
    const moved = decodeReport(vdaf, report)
    // The rest is found out when it is verified, and costs the servers what a bad proof would.
    const stolen = encodeReport(vdaf, { ...moved, client: client(1).publicKey })
    expect((await upload(servers, hash, 1, stolen)).status).toBe(200)
    const elsewhere = { ...reportRound(manifest, 'e'.repeat(64)) }
    const identity = await clientIdentity(client(0).secretKey)
    const replayed = { ...moved, signature: await identity.sign(helperSigned(elsewhere, moved)) }
    expect((await upload(servers, hash, 0, encodeReport(vdaf, replayed))).status).toBe(200)
    expect(await servers.coordinator.aggregation.counted?.(closed)).toBe(0)
  })
})
