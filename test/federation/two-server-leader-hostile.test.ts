// A dishonest leader at the helper, and everybody who is not the leader: what each asks for, and that it does not get it.
// docs/federation.md's threat table names these tests.
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { clientIdentity } from '../../src/federation/client/identity.ts'
import { sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { sha256Hex, toBase64Url, utf8 } from '../../src/federation/protocol/bytes.ts'
import { type Manifest, manifestBytes } from '../../src/federation/protocol/manifest.ts'
import {
  decodeAnswers,
  decodeReport,
  encodeJob,
  type JobItem,
  voteVdaf,
} from '../../src/federation/protocol/report-bytes.ts'
import { helperName } from '../../src/federation/protocol/signing.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { readLedger } from '../../src/privacy/ledger.ts'
import { SPOKEN, signedRequest } from './example.ts'
import { flipped, itemsOf, leaderRequest, type Pair, pairsOf, problemOf, secretOf } from './two-server-kit.ts'

const { begun, pairOf } = pairsOf(afterEach)

describe('a dishonest leader at the helper', () => {
  const jobPath = (hash: string, number = 0) => `/v1/rounds/${hash}/jobs/${number}`
  const releasePath = (hash: string) => `/v1/rounds/${hash}/release`
  const sums = (count: number, checksum = '0'.repeat(64)) => utf8(JSON.stringify({ count, checksum }))

  async function send(pair: Pair, path: string, body: Uint8Array, change = {}) {
    const answer = await pair.askHelper(await leaderRequest(pair, path, body, change))
    return { status: answer.status, bytes: new Uint8Array(await answer.clone().arrayBuffer()), answer }
  }
  async function outcomes(pair: Pair, hash: string, number: number, items: readonly JobItem[]) {
    const vdaf = voteVdaf(await pair.manifestOf(hash))
    const { status, bytes } = await send(pair, jobPath(hash, number), encodeJob(vdaf, items))
    expect(status).toBe(200)
    return decodeAnswers(vdaf, bytes).map(({ outcome }) => outcome)
  }

  it('nobody else is heard: unsigned, another key, task, path, body, time; nor the same request twice', async () => {
    const { pair, hash } = await begun()
    const stranger = await openKeyRing(join(pair.folder, 'stranger.keys'))
    const body = sums(3)
    const path = releasePath(hash)
    const asked = async (change: object) => {
      const answer = await pair.askHelper(await leaderRequest(pair, path, body, change))
      return `${answer.status} ${(await problemOf(answer)).code}`
    }
    const bare = new Request(`http://helper.test${path}`, {
      method: 'PUT',
      body: new Uint8Array(body),
      headers: { ...SPOKEN, 'content-type': 'application/json' },
    })
    expect((await pair.askHelper(bare)).status).toBe(401)
    expect(await asked({ keys: stranger })).toBe('401 unsigned')
    expect(await asked({ task: 'f'.repeat(32) })).toBe('401 unsigned')
    expect(await asked({ task: pair.task })).toBe('401 unsigned')
    expect(await asked({ signedPath: jobPath(hash) })).toBe('401 unsigned')
    expect(await asked({ signedMethod: 'GET' })).toBe('401 unsigned')
    expect(await asked({ signedBody: sums(4) })).toBe('401 unsigned')
    expect(await asked({ time: Date.now() - 301_000 })).toBe('401 expired')
    expect(await asked({ time: Date.now() + 301_000 })).toBe('401 expired')
    const nonce = toBase64Url(randomBytes(16))
    await asked({ nonce })
    expect(await asked({ nonce })).toBe('401 replayed')
    expect(await readLedger(pair.ledgers.helper)).toEqual([])
  })

  it('nothing of a body is read, nor the round looked up, before its leader is known', async () => {
    const { pair, hash } = await begun()
    const stranger = await openKeyRing(join(pair.folder, 'stranger.keys'))
    const path = jobPath(hash)
    const { round } = pair.atHelper
    let [read, lookedUp] = [0, 0]
    Object.assign(pair.atHelper, {
      round: (manifest: string) => {
        lookedUp++
        return round(manifest)
      },
    })
    const ask = async (change: object, without: readonly string[] = []) => {
      const { headers } = await leaderRequest(pair, path, new Uint8Array(9), change)
      for (const name of without) headers.delete(name)
      const body = new ReadableStream(
        {
          pull(controller) {
            read++
            controller.enqueue(new Uint8Array(9))
            controller.close()
          },
        },
        { highWaterMark: 0 },
      )
      const init = { method: 'PUT', headers, body, duplex: 'half' }
      const answer = await pair.askHelper(new Request(`http://helper.test${path}`, init as RequestInit))
      return (await problemOf(answer)).code
    }
    expect(await ask({}, ['authorization'])).toBe('unsigned')
    expect(await ask({}, ['pretext-body'])).toBe('unsigned')
    expect(await ask({ keys: stranger })).toBe('unsigned')
    expect(await ask({ bodyAhead: new Uint8Array(8) })).toBe('unsigned')
    expect(await ask({ time: Date.now() - 301_000 })).toBe('expired')
    expect([read, lookedUp]).toEqual([0, 0])
    const nonce = toBase64Url(randomBytes(16))
    expect(await ask({ nonce })).toBe('malformed')
    const after = [read, lookedUp]
    expect(after).toEqual([1, 2])
    expect(await ask({ nonce })).toBe('replayed')
    expect([read, lookedUp]).toEqual(after)
  })

  it('a client’s own signature is worth nothing here', async () => {
    const { pair, hash } = await begun()
    const secretKey = secretOf(0)
    const { client, publicKey } = await clientIdentity(secretKey)
    const request = signedRequest(
      { client, publicKey, secretKey },
      'PUT',
      releasePath(hash),
      sums(3),
      helperName(pair.helper.text),
      Date.now(),
    )
    request.headers.set('content-type', 'application/json')
    expect((await pair.askHelper(request)).status).toBe(401)
  })

  it('a round that differs from the helper’s config in any field is refused by its name', async () => {
    const pair = await pairOf()
    const hash = await pair.open()
    const manifest = await pair.manifestOf(hash)
    const other: readonly [string, Partial<Manifest>][] = [
      ['rounds', { rounds: 3 }],
      ['round', { round: 2, rounds: 2 }],
      ['candidates.count', { candidates: { ...manifest.candidates, count: 9 } }],
      ['labels', { labels: { names: ['a'], of: new Array(8).fill(0) } }],
      ['texts.minWords', { texts: { ...manifest.texts, minWords: 2 } }],
      ['texts.maxWords', { texts: { ...manifest.texts, maxWords: 99 } }],
      ['vote.mode', { vote: { ...manifest.vote, mode: 'counts' } }],
      ['vote.neighbours', { vote: { ...manifest.vote, neighbours: 2 } }],
      ['vote.maxTextsPerClient', { vote: { ...manifest.vote, maxTextsPerClient: 5 } }],
      ['vote.maxCandidates', { vote: { ...manifest.vote, maxCandidates: 4, boundSquared: '4' } }],
      ['vote.distance', { vote: { ...manifest.vote, distance: 'cosine' } }],
      ['vote.boundSquared', { vote: { ...manifest.vote, boundSquared: '4' } }],
      ['noise.noiseMultiplier', { noise: { ...manifest.noise, noiseMultiplier: 1.9 } }],
      ['noise.adjacency', { noise: { ...manifest.noise, adjacency: 'substitution' } }],
      ['noise.delta', { noise: { ...manifest.noise, delta: 1e-4 } }],
      ['cohort.minimum', { cohort: { ...manifest.cohort, minimum: 1 } }],
      ['cohort.target', { cohort: { minimum: 2, target: 2, seats: 3 } }],
      ['aggregation.mode', { aggregation: { mode: 'trusted' } }],
      [
        'aggregation.multiproof',
        {
          aggregation: {
            mode: 'two-server',
            leader: pair.leader.text,
            helper: pair.helper.text,
            multiproof: true,
            noise: 'full',
          },
        },
      ],
      [
        'aggregation.leader',
        {
          aggregation: {
            mode: 'two-server',
            leader: (await (await openKeyRing(join(pair.folder, 'other.keys'))).current()).identity.text,
            helper: pair.helper.text,
            multiproof: false,
            noise: 'full',
          },
        },
      ],
    ]
    for (const [field, change] of other) {
      // The round 2 of 2 is one that the helper agreed to.
      const agreed = field === 'round'
      const document = manifestBytes({ ...manifest, ...change } as Manifest)
      const name = sha256Hex(document)
      const { status, answer } = await send(pair, `/v1/rounds/${name}`, document)
      if (agreed) {
        expect(status).toBe(200)
        continue
      }
      const { code, detail = '' } = await problemOf(answer)
      // Where a field contradicts another one, the manifest is malformed before it is compared.
      expect([400, 409], field).toContain(status)
      if (status === 409)
        expect([code, detail.startsWith(field)], `${field}: ${detail}`).toEqual(['other-terms', true])
      expect(await pair.atHelper.round(name), field).toBeUndefined()
    }
  })

  it('a document that is not the one it is named by is refused', async () => {
    const { pair, hash } = await begun()
    const document = manifestBytes(await pair.manifestOf(hash))
    const { status } = await send(pair, `/v1/rounds/${'e'.repeat(64)}`, document)
    expect(status).toBe(400)
  })

  it('a batch of one, or of fewer than its minimum cohort, is never released', async () => {
    const { pair, hash } = await begun(3)
    const [one] = await itemsOf(pair, hash)
    expect(await outcomes(pair, hash, 0, [one as JobItem])).toEqual(['accepted'])
    const [result] = await pair.atHelper.results(hash)
    const { status, answer } = await send(
      pair,
      releasePath(hash),
      sums(1, Buffer.from(result?.checksum ?? []).toString('hex')),
    )
    expect(`${status} ${(await problemOf(answer)).code}`).toBe('409 too-few')
    expect(await readLedger(pair.ledgers.helper)).toEqual([])
    expect(existsSync(pair.released.helper(hash))).toBe(false)
  })

  it('a report counts once: in two jobs, twice in one job, two reports of one client', async () => {
    const { pair, hash } = await begun(3)
    const items = await itemsOf(pair, hash)
    const [a, b, c] = items as [JobItem, JobItem, JobItem]
    expect(await outcomes(pair, hash, 0, [a, a, b])).toEqual(['accepted', 'seen', 'accepted'])
    expect(await outcomes(pair, hash, 1, [b, c])).toEqual(['seen', 'accepted'])
    // The same client under a new id, honestly made.
    const again = await pair.reportOf(hash, 0, [4])
    expect(await outcomes(pair, hash, 2, await itemsOf(pair, hash, [again]))).toEqual(['seen'])
    const results = await pair.atHelper.results(hash)
    expect(results.map(({ accepted }) => accepted)).toEqual([2, 1, 0])
  })

  it('a job again gives the same bytes; other bytes under its number are refused', async () => {
    const { pair, hash } = await begun(3)
    const items = await itemsOf(pair, hash)
    const vdaf = voteVdaf(await pair.manifestOf(hash))
    const body = encodeJob(vdaf, items.slice(0, 2))
    const first = await send(pair, jobPath(hash), body)
    const second = await send(pair, jobPath(hash), body)
    expect(second.bytes).toEqual(first.bytes)
    const { status, answer } = await send(pair, jobPath(hash), encodeJob(vdaf, items))
    expect(`${status} ${(await problemOf(answer)).code}`).toBe('409 other-job')
    expect((await pair.atHelper.results(hash)).map(({ accepted }) => accepted)).toEqual([2])
  })

  it('what the leader changes in a report is seen: signature, box, public share, client, verifier share', async () => {
    const { pair, hash } = await begun(8)
    const items = await itemsOf(pair, hash)
    const at = (i: number) => items[i] as JobItem
    const other = await clientIdentity(secretOf(999))
    expect(
      await outcomes(pair, hash, 0, [
        { ...at(0), signature: flipped(at(0).signature, 9) },
        { ...at(1), helper: { ...at(1).helper, box: flipped(at(1).helper.box, 500) } },
        { ...at(2), publicShare: flipped(at(2).publicShare, 4) },
        { ...at(3), client: other.publicKey },
        { ...at(4), id: new Uint8Array(16) },
        { ...at(5), verifierShare: flipped(at(5).verifierShare, 3) },
        { ...at(6), verifierShare: at(7).verifierShare },
        at(7),
      ]),
    ).toEqual(['signature', 'signature', 'signature', 'signature', 'signature', 'proof', 'proof', 'accepted'])
    expect((await pair.atHelper.results(hash)).map(({ accepted }) => accepted)).toEqual([1])
  })

  it('a report that the leader makes up for a client that never voted is not signed by it', async () => {
    const { pair, hash } = await begun(3)
    const victim = await clientIdentity(secretOf(500))
    const manifest = await pair.manifestOf(hash)
    const forger = await clientIdentity(secretOf(501))
    const keys = await pair.keysNow()
    const body = await sealReport(manifest, hash, shareVote(manifest, hash, { indices: [7], steps: [1n] }), {
      keys,
      identity: { ...victim, sign: forger.sign },
      now: Date.now(),
    })
    const { leader: _, ...part } = decodeReport(voteVdaf(manifest), body)
    const verifierShare = new Uint8Array(voteVdaf(manifest).sizes.verifierShare)
    expect(await outcomes(pair, hash, 0, [{ ...part, verifierShare }])).toEqual(['signature'])
  })

  it('a release is for the reports that both accepted, once, and over', async () => {
    const { pair, hash } = await begun(3)
    await pair.close(hash)
    const [result] = await pair.atHelper.results(hash)
    const checksum = Buffer.from(result?.checksum ?? []).toString('hex')
    for (const body of [sums(2, checksum), sums(3), sums(4, checksum)]) {
      const { status, answer } = await send(pair, releasePath(hash), body)
      expect(`${status} ${(await problemOf(answer)).code}`).toBe('409 other-job')
    }
    expect(await readLedger(pair.ledgers.helper)).toEqual([])
    const first = await send(pair, releasePath(hash), sums(3, checksum))
    expect(first.status).toBe(200)
    for (let again = 0; again < 3; again++)
      expect((await send(pair, releasePath(hash), sums(3, checksum))).bytes).toEqual(first.bytes)
    const charges = (await readLedger(pair.ledgers.helper)).length
    expect(charges).toBe(2) // one charge, one commit
    // Nothing can be added to a round that is over, and its shares are forgotten.
    const vdaf = voteVdaf(await pair.manifestOf(hash))
    const late = await send(pair, jobPath(hash, 5), encodeJob(vdaf, []))
    expect(`${late.status} ${(await problemOf(late.answer)).code}`).toBe('410 round-closed')
    expect(await pair.atHelper.results(hash)).toEqual([])
    // Two answers differ by nothing, so noise cannot be averaged away; other counts get nothing new.
    expect((await send(pair, releasePath(hash), sums(2, checksum))).status).toBe(409)
  })

  it('a second attempt at a released round, with the same clients, is never released', async () => {
    const { pair, hash } = await begun(3)
    await pair.close(hash)
    await pair.release(hash)
    const manifest = await pair.manifestOf(hash)
    const second = { ...manifest, attempt: 2 }
    const document = manifestBytes(second)
    const name = sha256Hex(document)
    expect((await send(pair, `/v1/rounds/${name}`, document)).status).toBe(200)
    const keys = await pair.keysNow()
    const uploads = await Promise.all(
      [0, 1, 2].map(async (n) =>
        sealReport(second, name, shareVote(second, name, { indices: [0], steps: [1n] }), {
          keys,
          identity: await clientIdentity(secretOf(n)),
          now: Date.now(),
        }),
      ),
    )
    const body = encodeJob(voteVdaf(second), await itemsOf(pair, name, uploads, second))
    expect((await send(pair, jobPath(name), body)).status).toBe(200)
    const [result] = await pair.atHelper.results(name)
    const checksum = Buffer.from(result?.checksum ?? []).toString('hex')
    const { status, answer } = await send(pair, releasePath(name), sums(3, checksum))
    expect(`${status} ${(await problemOf(answer)).code}`).toBe('409 no-budget')
    expect((await readLedger(pair.ledgers.helper)).length).toBe(2)
  })

  it('a leader that asks for more than the helper’s budget gets nothing', async () => {
    const { pair, hash } = await begun(3, { budget: { epsilon: 0.5, delta: 1e-5 } })
    await pair.close(hash)
    await expect(pair.release(hash)).rejects.toThrow('the budget is spent')
    expect(await readLedger(pair.ledgers.helper)).toEqual([])
    expect(await readLedger(pair.ledgers.leader)).toEqual([])
    expect(existsSync(pair.released.leader())).toBe(false)
  })

  it('any bytes on any path: an answer below 500, and nothing is charged', async () => {
    const { pair, hash } = await begun(3)
    const items = await itemsOf(pair, hash)
    const vdaf = voteVdaf(await pair.manifestOf(hash))
    const job = encodeJob(vdaf, items)
    const paths = [
      `/v1/rounds/${hash}`,
      jobPath(hash, 7),
      releasePath(hash),
      jobPath('0'.repeat(64)),
      releasePath('0'.repeat(64)),
      `/v1/rounds/${hash}/jobs/01`,
      `/v1/rounds/${hash}/jobs/-1`,
      `/v1/rounds/${hash}/jobs/99999999999`,
      `/v1/rounds/${hash}/unknown`,
      `/v1/rounds/nothing/jobs/0`,
    ]
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 400 }),
      fc.json().map((text) => utf8(text)),
      fc.record({ count: fc.anything(), checksum: fc.anything() }).map((x) => utf8(JSON.stringify(x) ?? '')),
      // A job with some bytes exchanged, or cut short.
      fc.array(fc.tuple(fc.nat(job.length - 1), fc.nat(255)), { maxLength: 5 }).map((changes) => {
        const changed = job.slice()
        for (const [at, value] of changes) changed[at] = value
        return changed
      }),
      fc.nat(job.length).map((length) => job.slice(0, length)),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        bytes,
        fc.constantFrom('application/json', 'application/octet-stream', 'text/plain'),
        async (path, body, contentType) => {
          const { status } = await send(pair, path, body, { contentType })
          expect(status).toBeLessThan(500)
        },
      ),
      { numRuns: 250 },
    )
    expect(pair.events.filter((event) => event.includes('failed inside'))).toEqual([])
    expect(await readLedger(pair.ledgers.helper)).toEqual([])
  })
})
