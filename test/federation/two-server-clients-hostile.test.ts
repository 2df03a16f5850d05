// Dishonest clients against the two aggregators: what each tries, and that it is not counted; and keys that change in the
// middle of a round. docs/federation.md's threat table names these tests.
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type Shares, sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { systemClock } from '../../src/federation/clock.ts'
import type { Manifest } from '../../src/federation/protocol/manifest.ts'
import {
  decodeReport,
  encodeReport,
  helperSigned,
  type Report,
  reportRound,
  reportSize,
  voteVdaf,
} from '../../src/federation/protocol/report-bytes.ts'
import { rotateSealingKey } from '../../src/federation/verification/aggregator-keys.ts'
import { seededRandom } from '../../src/random.ts'
import { poisoner } from '../vdaf/poison.ts'
import {
  exactSum,
  flipped,
  honestSum,
  MAX_WEIGHT,
  multihotTerms,
  pairsOf,
  problemOf,
} from './two-server-kit.ts'

const { begun } = pairsOf(afterEach)

describe('dishonest clients', () => {
  it.each([false, true])(
    'every poisoned report of the proof system is left out, end to end (multiproof %s)',
    async (multiproof) => {
      const { pair, hash } = await begun(3, { multiproof })
      const { context } = reportRound(await pair.manifestOf(hash), hash)
      const tools = poisoner(
        { length: 8, maxWeight: MAX_WEIGHT, multiproof },
        seededRandom(3, 'hostile'),
        context,
      )
      let n = 100
      let sent = 0
      for (const [name, make] of Object.entries(tools.attacks)) {
        // The aggregators take nonce and key from nobody.
        if (/^aggregators disagree/.test(name)) continue
        for (let again = 0; again < (multiproof ? 1 : 2); again++) {
          const { report } = make()
          const [leader, helper] = report.inputShares as [Uint8Array, Uint8Array]
          const shares = { id: report.nonce, publicShare: report.publicShare, leader, helper }
          await pair.enrol(++n)
          // Shares of another length have no form in which they could be sent.
          const body = await pair
            .reportOf(hash, n, [], () => shares)
            .catch((error) => {
              expect(error, name).toBeInstanceOf(RangeError)
            })
          if (body === undefined) continue
          expect((await pair.upload(hash, n, body)).status, name).toBe(200)
          sent++
        }
      }
      expect(sent).toBeGreaterThan(multiproof ? 18 : 36)
      await pair.close(hash)
      expect(await exactSum(pair, hash)).toEqual({ accepted: 3, sum: honestSum(3) })
    },
  )

  it('one flipped bit anywhere in an upload: refused at the door or left out, and the others count', async () => {
    const { pair, hash } = await begun()
    const random = seededRandom(1, 'flips')
    const { vdaf } = reportRound(await pair.manifestOf(hash), hash)
    const leaderKey = reportSize(vdaf) - 8 - 48 - vdaf.sizes.leaderShare
    const statuses = new Set<number>()
    const counted = new Map<number, string>()
    for (let n = 10; n < 70; n++) {
      await pair.enrol(n)
      const body = await pair.reportOf(hash, n, [2])
      // Every part of the report gets its share of flips, though most of its bytes are the leader's box.
      const parts = [body.length, 250]
      const at =
        n % 3 === 2 ? 8 * leaderKey + random.integer(64) : random.integer(8 * (parts[n % 3] as number))
      const { status } = await pair.upload(hash, n, flipped(body, at))
      statuses.add(status)
      expect([200, 409, 422], `bit ${at}`).toContain(status)
      if (status === 200) counted.set(n, `bit ${at}`)
    }
    expect(statuses).toEqual(new Set([200, 409, 422]))
    await pair.close(hash)
    expect(await exactSum(pair, hash), [...counted.values()].join()).toEqual({
      accepted: 3,
      sum: honestSum(3),
    })
  })

  it('parts of two reports put together are left out: boxes, public shares, ids', async () => {
    const { pair, hash } = await begun()
    const { vdaf } = reportRound(await pair.manifestOf(hash), hash)
    let n = 50
    // Taken at the door, since the request is signed, and left out when it is verified: what the client's signature covers,
    // it cannot exchange without signing, and the leader's box, which is not under it, does not open.
    const sent = async (mix: (a: Report, b: Report) => Report) => {
      await pair.enrol(++n)
      const [a, b] = [await pair.reportOf(hash, n, [2]), await pair.reportOf(hash, n, [3])].map((body) =>
        decodeReport(vdaf, body),
      ) as [Report, Report]
      expect((await pair.upload(hash, n, encodeReport(vdaf, mix(a, b)))).status).toBe(200)
      return { a, b }
    }
    await sent((a, b) => ({ ...a, helper: b.helper }))
    await sent((a, b) => ({ ...a, publicShare: b.publicShare }))
    await sent((a, b) => ({ ...a, id: b.id }))
    const { a, b } = await sent((a, b) => ({ ...a, leader: b.leader }))
    // It was its one vote, even if it signs better now.
    const mixed = { ...a, helper: b.helper }
    const round = reportRound(await pair.manifestOf(hash), hash)
    const signature = await (await pair.enrol(n)).sign(helperSigned(round, mixed))
    const other = await pair.upload(hash, n, encodeReport(vdaf, { ...mixed, signature }))
    expect((await problemOf(other)).code).toBe('other-vote')
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 3, sum: honestSum(3) })
  })

  it('the helper’s box of another report, signed by the client, does not open', async () => {
    const { pair, hash } = await begun()
    const round = reportRound(await pair.manifestOf(hash), hash)
    const identity = await pair.enrol(52)
    const [a, b] = [await pair.reportOf(hash, 52, [2]), await pair.reportOf(hash, 52, [3])].map((body) =>
      decodeReport(round.vdaf, body),
    ) as [ReturnType<typeof decodeReport>, ReturnType<typeof decodeReport>]
    const mixed = { ...a, helper: b.helper }
    const signature = await identity.sign(helperSigned(round, mixed))
    expect((await pair.upload(hash, 52, encodeReport(round.vdaf, { ...mixed, signature }))).status).toBe(200)
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 3, sum: honestSum(3) })
  })

  it('a report of another round or task, under this round’s address, is not signed for it', async () => {
    const { pair, hash } = await begun()
    const manifest = await pair.manifestOf(hash)
    const identity = await pair.enrol(60)
    const keys = await pair.keysNow()
    const seal = (m: Manifest, h: string, shares: Shares) =>
      sealReport(m, h, shares, { keys, identity, now: Date.now() })
    const vote = { indices: [2], steps: [1n] }
    const others: [string, Manifest, string][] = [
      ['round', manifest, 'f'.repeat(64)],
      ['task', { ...manifest, task: 'f'.repeat(32) }, hash],
    ]
    for (const [i, [name, m, h]] of others.entries()) {
      const of = await pair.enrol(61 + i)
      const body = await sealReport(m, h, shareVote(m, h, vote), { keys, identity: of, now: Date.now() })
      expect((await pair.upload(hash, 61 + i, body)).status, name).toBe(200)
    }
    // Shares of another round, sealed and signed anew for this one: the proof is bound to the round.
    const body = await seal(manifest, hash, shareVote(manifest, 'f'.repeat(64), vote))
    expect((await pair.upload(hash, 60, body)).status).toBe(200)
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 3, sum: honestSum(3) })
  })

  it('nobody sends another client’s report, nor votes twice', async () => {
    const { pair, hash } = await begun()
    await pair.enrol(70)
    await pair.enrol(71)
    const body = await pair.reportOf(hash, 70, [2])
    const stolen = await pair.upload(hash, 71, body)
    expect(stolen.status).toBe(422)
    expect((await problemOf(stolen)).detail).toBe('the report is of another client')
    expect((await pair.upload(hash, 70, body)).status).toBe(200)
    // The same bytes are the same vote; others are another one.
    expect((await pair.upload(hash, 70, body)).status).toBe(200)
    expect((await pair.upload(hash, 70, await pair.reportOf(hash, 70, [2]))).status).toBe(409)
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 4, sum: [3, 3, 1, 0, 0, 0, 0, 0] })
  })

  it('two clients with one report id: one of them counts', async () => {
    const { pair, hash } = await begun()
    const id = new Uint8Array(randomBytes(16))
    const { vdaf, context } = reportRound(await pair.manifestOf(hash), hash)
    for (const n of [80, 81]) {
      await pair.enrol(n)
      const bits = new Uint8Array(8)
      bits[2] = 1
      const { publicShare, inputShares } = vdaf.shard(bits, { context, nonce: id })
      const [leader, helper] = inputShares as [Uint8Array, Uint8Array]
      const body = await pair.reportOf(hash, n, [], () => ({ id, publicShare, leader, helper }))
      expect((await pair.upload(hash, n, body)).status).toBe(200)
    }
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 4, sum: [3, 3, 1, 0, 0, 0, 0, 0] })
  })

  it('m of them move the sum by at most k each, and the rest as they like', async () => {
    const { pair, hash } = await begun(2)
    for (const n of [90, 91]) await pair.voteOf(hash, n, [5, 6, 7])
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 4, sum: [2, 2, 0, 0, 0, 2, 2, 2] })
    const manifest = await pair.manifestOf(hash)
    expect(() =>
      voteVdaf(manifest).shard(new Uint8Array(8).fill(1), {
        context: new Uint8Array(0),
        nonce: new Uint8Array(16),
      }),
    ).toThrow()
  })
})

describe('keys that change in the middle of a round', () => {
  it('lose nothing: before, during and after the grace, at either aggregator', async () => {
    let now = Date.now()
    const clock = { ...systemClock, now: () => now }
    const { pair, hash } = await begun(3, { clock, terms: multihotTerms({ openSeconds: 600 }) })
    const early = [10, 11, 12]
    const bodies = new Map<number, Uint8Array>()
    for (const n of [...early, 20]) {
      await pair.enrol(n)
      bodies.set(n, await pair.reportOf(hash, n, [2]))
    }
    for (const file of [pair.leaderKeyFile, pair.helperKeyFile]) await rotateSealingKey(file, now, 60_000)
    now += 20_000
    // Sealed before, sent within the grace.
    for (const n of early) expect((await pair.upload(hash, n, bodies.get(n) as Uint8Array)).status).toBe(200)
    // New clients seal to the new keys.
    for (const n of [13, 14]) expect((await pair.voteOf(hash, n, [3])).status).toBe(200)
    now += 60_000
    // After the grace: refused by its name, sealed again under the new keys, with the same id.
    const late = await pair.upload(hash, 20, bodies.get(20) as Uint8Array)
    expect(`${late.status} ${(await problemOf(late)).code}`).toBe('409 outdated-key')
    expect((await pair.upload(hash, 20, await pair.reportOf(hash, 20, [2]))).status).toBe(200)
    // What was counted under the old key stays so, whoever asks again.
    expect((await pair.upload(hash, 10, bodies.get(10) as Uint8Array)).status).toBe(200)
    await pair.close(hash)
    expect(await exactSum(pair, hash)).toEqual({ accepted: 9, sum: [3, 3, 4, 2, 0, 0, 0, 0] })
  })
})
