// A dishonest helper, or an impostor in its place: what the leader and the clients believe. docs/federation.md's threat
// table names these tests.
import { existsSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { clientIdentity } from '../../src/federation/client/identity.ts'
import { sealReport, shareVote } from '../../src/federation/client/shares.ts'
import { sha256Hex, toBase64Url } from '../../src/federation/protocol/bytes.ts'
import { manifestBytes } from '../../src/federation/protocol/manifest.ts'
import { decodeAnswers, encodeAnswers, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import {
  answerBytes,
  BODY_HEADER,
  helperName,
  parseAuthorization,
  SIGNATURE_HEADER,
  signedBytes,
} from '../../src/federation/protocol/signing.ts'
import { openKeyRing } from '../../src/federation/verification/aggregator-keys.ts'
import { joinedResults } from '../../src/federation/verification/jobs.ts'
import { readLedger } from '../../src/privacy/ledger.ts'
import { exampleManifest } from './example.ts'
import { flipped, type Pair, type PairOptions, pairsOf, problemOf, secretOf } from './two-server-kit.ts'

const { begun, pairOf } = pairsOf(afterEach)

describe('a dishonest helper, or an impostor', () => {
  const nothingReleased = async (pair: Pair) => {
    expect(existsSync(pair.released.leader())).toBe(false)
    expect(await readLedger(pair.ledgers.leader)).toEqual([])
  }
  type Between = NonNullable<PairOptions['between']>
  const onJobs =
    (
      change: (response: Response, request: Request, pair: Pair) => Promise<Response>,
      of: () => Pair,
    ): Between =>
    async (request, helper) => {
      const kept = request.clone() as Request
      const response = await helper(request)
      return /\/jobs\//.test(kept.url) ? change(response, kept, of()) : response
    }
  /** Signs other bytes as the real helper would. */
  async function resigned(
    pair: Pair,
    request: Request,
    response: Response,
    bytes: Uint8Array,
    ring = pair.helperKeys,
  ) {
    const authorization = request.headers.get('authorization') ?? ''
    const { time = 0, nonce = '' } = parseAuthorization(authorization) ?? {}
    const parts = {
      task: helperName(pair.helper.text),
      method: 'PUT',
      path: new URL(request.url).pathname,
      body: new Uint8Array(await request.arrayBuffer()),
      time,
      nonce,
    }
    const headers = new Headers(response.headers)
    const signature = (await ring.current()).sign(
      answerBytes({ authorization, signed: signedBytes(parts) }, response.status, bytes),
    )
    headers.set(SIGNATURE_HEADER, toBase64Url(signature))
    return new Response(new Uint8Array(bytes), { status: response.status, headers })
  }

  it('answers that the helper did not sign for this very request count as none', async () => {
    const answers: Record<string, (response: Response, request: Request, pair: Pair) => Promise<Response>> = {
      'without a signature': async (response) => {
        const headers = new Headers(response.headers)
        headers.delete(SIGNATURE_HEADER)
        return new Response(await response.arrayBuffer(), { headers })
      },
      'signed by another': async (response, request, pair) => {
        const ring = await openKeyRing(join(pair.folder, 'impostor.keys'))
        const bytes = new Uint8Array(await response.arrayBuffer())
        return resigned(pair, request, response, bytes, ring)
      },
      'other bytes': async (response) => {
        const bytes = flipped(new Uint8Array(await response.arrayBuffer()), 70)
        return new Response(new Uint8Array(bytes), { headers: response.headers })
      },
      'another status': async (response) =>
        new Response(await response.arrayBuffer(), { status: 201, headers: response.headers }),
      'the answer to an earlier request': async (_response, request, pair) => {
        const earlier = pair.asked.find(({ request: { url } }) => url === request.url)
        return (earlier?.response.clone() as Response | undefined) ?? new Response(null, { status: 502 })
      },
    }
    for (const [name, change] of Object.entries(answers)) {
      let pair: Pair | undefined
      const begunPair = await begun(3, { between: onJobs(change, () => pair as Pair) })
      pair = begunPair.pair
      const { hash } = begunPair
      await expect(pair.close(hash), name).rejects.toThrow(/could not reach the helper/)
      await nothingReleased(pair)
      expect(await pair.store.jobs(hash), name).toEqual([])
    }
  })

  it('a leader that the helper does not know hears so at once, signed; a request that came twice is no answer', async () => {
    const stranger = await openKeyRing(join(await mkdtemp(join(tmpdir(), 'stranger-')), 'keys'))
    const other = (await stranger.current()).identity
    const pair = await pairOf({ leaderAtHelper: other, patienceMs: 60_000 })
    const document = manifestBytes(exampleManifest())
    await expect(pair.connection.announce(sha256Hex(document), document)).rejects.toThrow(
      'the helper refused: the request has no valid signature',
    )
    expect(pair.asked).toHaveLength(1)

    const doubled = await pairOf({
      between: async (request, helper) => {
        await helper(request.clone() as Request)
        return helper(request)
      },
    })
    const twice = doubled.connection.announce(sha256Hex(document), document)
    await expect(twice).rejects.toThrow(/could not reach the helper.*its answer is not signed by it/)
  })

  it('a sniffer gets no refusal that the leader takes for its own: another signature, name, body or type', async () => {
    const header = (request: Request) => request.headers.get('authorization') ?? ''
    const forged: Record<string, (request: Request) => { [name: string]: string }> = {
      'another signature': (request) => ({
        authorization: header(request).replace(/.{86}$/, 'A'.repeat(86)),
      }),
      'another name': (request) => ({
        authorization: header(request).replace(/client=.{64}/, `client=${'0'.repeat(64)}`),
      }),
      'another body': () => ({}),
      'another type': () => ({ 'content-type': 'text/plain' }),
      'a body that is said to be larger': () => ({ 'content-length': '99999999999' }),
      'another hash of the body': () => ({ [BODY_HEADER]: '0'.repeat(64) }),
    }
    for (const [name, change] of Object.entries(forged)) {
      let heard = ''
      const pair = await pairOf({
        patienceMs: 1,
        between: async (request, helper) => {
          const headers = new Headers(request.headers)
          for (const [key, value] of Object.entries(change(request))) headers.set(key, value)
          const body = name === 'another body' ? '[]' : await request.arrayBuffer()
          const answer = await helper(new Request(request.url, { method: 'PUT', headers, body }))
          heard = (await problemOf(answer.clone() as Response)).code
          return answer
        },
      })
      await expect(pair.connection.refuse('a'.repeat(64)), name).rejects.toThrow(
        /could not reach the helper.*its answer is not signed by it/,
      )
      expect(heard, name).toMatch(/unsigned|malformed|wrong-type|too-large/)
    }
  })

  it('a helper that signs wrong verifier messages, or too few answers, is not believed', async () => {
    for (const [name, tamper] of Object.entries({
      message: (answers: ReturnType<typeof decodeAnswers>) =>
        answers.map((one) => ({ ...one, message: flipped(one.message, 3) })),
      fewer: (answers: ReturnType<typeof decodeAnswers>) => answers.slice(1),
      more: (answers: ReturnType<typeof decodeAnswers>) => [...answers, ...answers],
    })) {
      let pair: Pair | undefined
      const started = await begun(3, {
        between: onJobs(
          async (response, request, own) => {
            const vdaf = voteVdaf(
              (await own.atHelper.rounds()) &&
                (await own.manifestOf(new URL(request.url).pathname.split('/')[3] ?? '')),
            )
            const answers = decodeAnswers(vdaf, new Uint8Array(await response.arrayBuffer()))
            return resigned(own, request, response, encodeAnswers(vdaf, tamper(answers)))
          },
          () => pair as Pair,
        ),
      })
      pair = started.pair
      await expect(pair.close(started.hash), name).rejects.toThrow()
      await nothingReleased(pair)
      expect(await pair.store.jobs(started.hash), name).toEqual([])
    }
  })

  it('a helper that rejects everybody keeps the round from being released, no more', async () => {
    let pair: Pair | undefined
    const started = await begun(3, {
      between: onJobs(
        async (response, request, own) => {
          const hash = new URL(request.url).pathname.split('/')[3] ?? ''
          const vdaf = voteVdaf(await own.manifestOf(hash))
          const answers = decodeAnswers(vdaf, new Uint8Array(await response.arrayBuffer()))
          const none = answers.map(() => ({ outcome: 'proof' as const, message: new Uint8Array(0) }))
          return resigned(own, request, response, encodeAnswers(vdaf, none))
        },
        () => pair as Pair,
      ),
    })
    pair = started.pair
    await expect(pair.close(started.hash)).rejects.toThrow(/expected at least 2 clients to vote/)
    await nothingReleased(pair)
    expect(await pair.store.voters(started.hash)).toBeGreaterThan(0)
  })

  it.each([
    ['to the edge of what a number holds', BigInt(Number.MAX_SAFE_INTEGER) + 1n],
    ['far beyond it', 2n ** 60n],
    ['beyond half of the field', 2n ** 127n],
  ])('a helper that moves its share %s hears of the sum only with noise, and charged', async (_, move) => {
    let pair: Pair | undefined
    let asked = 0
    const started = await begun(3, {
      between: async (request, helper) => {
        const kept = request.clone() as Request
        const response = await helper(request)
        if (!kept.url.endsWith('/release')) return response
        asked++
        const vdaf = voteVdaf(await (pair as Pair).manifestOf(new URL(kept.url).pathname.split('/')[3] ?? ''))
        const bytes = new Uint8Array(await response.arrayBuffer())
        // Without its own noise: only the leader's is between it and the votes.
        const { share } = joinedResults(
          { manifest: await (pair as Pair).manifestOf(started.hash), hash: started.hash },
          before,
        )
        expect(bytes).toHaveLength(share.length)
        const moved = vdaf.addIntegers(share, new Array(8).fill(move))
        return resigned(pair as Pair, kept, response, moved)
      },
    })
    pair = started.pair
    await pair.close(started.hash)
    const before = await pair.atHelper.results(started.hash)
    // Whatever the exact sum is, it was charged, and noised once: never a refusal that nobody paid for.
    const [charges, outcomes] = [new Set<string>(), new Set<string>()]
    for (let again = 0; again < 3; again++) {
      const released = await pair.release(started.hash).then(
        ({ histogram }) => JSON.stringify(histogram.steps),
        (error: Error) => error.message,
      )
      outcomes.add(released)
      const ledger = await readLedger(pair.ledgers.leader)
      expect(ledger.map(({ type }) => type)).toEqual(['charge', 'commit'])
      charges.add(JSON.stringify(ledger))
    }
    expect([charges.size, outcomes.size, asked]).toEqual([1, 1, 1])
    expect(existsSync(pair.released.leader())).toBe(true)
    if (move === 2n ** 60n)
      expect([...outcomes][0]).toBe(
        'expected the helper’s share of these votes, got numbers that no votes have',
      )
  })

  it('bytes of no share are refused before anything is charged', async () => {
    let pair: Pair | undefined
    const started = await begun(3, {
      between: async (request, helper) => {
        const kept = request.clone() as Request
        const response = await helper(request)
        if (!kept.url.endsWith('/release')) return response
        const bytes = new Uint8Array(await response.arrayBuffer()).fill(255)
        return resigned(pair as Pair, kept, response, bytes)
      },
    })
    pair = started.pair
    await pair.close(started.hash)
    await expect(pair.release(started.hash)).rejects.toThrow('expected a share of the sum from the helper')
    await nothingReleased(pair)
  })

  it('keys that the helper did not sign are taken by no client', async () => {
    const { pair, hash } = await begun()
    const manifest = await pair.manifestOf(hash)
    const shares = shareVote(manifest, hash, { indices: [0], steps: [1n] })
    const identity = await clientIdentity(secretOf(0))
    const honest = await pair.keysNow()
    const leaderOwn = honest.leader
    const stranger = (await (await openKeyRing(join(pair.folder, 'stranger.keys'))).current()).sealingKeys(
      Date.now(),
    )
    const [first] = honest.helper.keys
    const tampered = {
      'the leader’s own keys in the helper’s place': leaderOwn,
      'a stranger’s keys': stranger,
      'a stranger’s keys under the helper’s name': { ...stranger, identity: honest.helper.identity },
      'another key under the helper’s signature': {
        ...honest.helper,
        keys: [{ ...(first as NonNullable<typeof first>), publicKey: stranger.keys[0]?.publicKey ?? '' }],
      },
      'a longer time': { ...honest.helper, until: honest.helper.until + 1 },
    }
    for (const [name, helper] of Object.entries(tampered)) {
      const sealed = sealReport(manifest, hash, shares, {
        keys: { ...honest, helper },
        identity,
        now: Date.now(),
      })
      await expect(sealed, name).rejects.toThrow(
        'expected keys that the aggregator of this round signed lately',
      )
    }
    const late = sealReport(manifest, hash, shares, { keys: honest, identity, now: honest.helper.until })
    await expect(late).rejects.toThrow('signed lately')
  })
})
