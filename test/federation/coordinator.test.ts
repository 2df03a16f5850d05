// The coordinator at its door: who gets in, what counts, what is refused, and that every round ends.
import { createHash } from 'node:crypto'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sumVotes, trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import { publishRelease, type RoundTerms } from '../../src/federation/coordinator/collect.ts'
import type { Coordinator, CoordinatorOptions } from '../../src/federation/coordinator/coordinator.ts'
import { sha256Hex, utf8 } from '../../src/federation/protocol/bytes.ts'
import {
  ProblemSchema,
  REFUSALS,
  ReceiptSchema,
  RoundStateSchema,
  TaskSchema,
} from '../../src/federation/protocol/messages.ts'
import { BODY_HEADER, type Identity } from '../../src/federation/protocol/signing.ts'
import { encodeVote } from '../../src/federation/protocol/vote-bytes.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import type { Store } from '../../src/federation/stores/store.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { chargesIn, readLedger } from '../../src/privacy/ledger.ts'
import {
  client,
  enrolAll,
  enrolmentBody,
  exampleCoordinator,
  exampleManifest,
  exampleTerms,
  manualClock,
  openedRound,
  type SignedChange,
  SPOKEN,
  signedRequest,
  voteFor,
} from './example.ts'

let store: Store
let folder: string
let clock: ReturnType<typeof manualClock>
let coordinator: Coordinator
let app: Hono
let clients: Identity[]

const start = async (change: Partial<CoordinatorOptions> = {}) => {
  coordinator = await exampleCoordinator(store, { clock, ...change })
  app = coordinatorApp(coordinator)
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coordinator-'))
  store = await sqlStore(await embeddedDatabase(join(folder, 'store.db')))
  clock = manualClock()
  clients = await enrolAll(store, 6)
  await start()
})
afterEach(() => store.close())

const opened = async (terms: Partial<RoundTerms> = {}) => openedRound(coordinator, exampleTerms(terms))
const votePath = (hash: string) => `/v1/rounds/${hash}/vote`
const put = async (hash: string, who: Identity, body: Uint8Array, change: SignedChange = {}) =>
  app.fetch(signedRequest(who, 'PUT', votePath(hash), body, coordinator.task, clock.now(), change))
const codeOf = async (response: Response) => {
  if (response.ok) return response.status
  const problem = ProblemSchema.parse(await response.json())
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(problem.status).toBe(response.status)
  expect(REFUSALS).toHaveProperty(problem.code)
  return problem.code
}
const one = () => clients[0] as Identity

describe('a vote', () => {
  it('is acknowledged by a receipt, the same for the same bytes; other bytes are refused', async () => {
    const { hash } = await opened()
    const first = await put(hash, one(), voteFor(1))
    const receipt = ReceiptSchema.parse(await first.json())
    expect(receipt).toEqual({
      manifest: hash,
      client: one().client,
      sha256: sha256Hex(voteFor(1)),
      received: clock.now(),
    })
    clock.advance(5000)
    expect(await (await put(hash, one(), voteFor(1))).json()).toEqual(receipt)
    expect(await codeOf(await put(hash, one(), voteFor(2)))).toBe('other-vote')
    expect(await store.voters(hash)).toBe(1)
  })

  it('of one client is counted once, of 100 different ones sent at once', async () => {
    const { hash } = await opened()
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => put(hash, one(), voteFor(1, BigInt(i + 1)))),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(99)
  })

  it('beyond the bound by one grid step is refused, at the bound it counts', async () => {
    const { hash } = await opened()
    expect(await codeOf(await put(hash, one(), voteFor(0, 65_537n)))).toBe('bad-vote')
    const two = encodeVote({ indices: [0, 1], steps: [65_536n, 1n] }, new Uint8Array(16))
    expect(await codeOf(await put(hash, one(), two))).toBe('bad-vote')
    expect(await codeOf(await put(hash, one(), voteFor(0, 65_536n)))).toBe(200)
  })

  it('in multihot mode is bits, at most maxCandidates of them', async () => {
    const vote = voteTermsOf(
      { mode: 'multihot', maxTextsPerClient: 4, neighbours: 1, maxCandidates: 2 },
      'l2',
    )
    const { hash } = await opened({ vote })
    const bits = (...indices: number[]) =>
      encodeVote({ indices, steps: indices.map(() => 1n) }, new Uint8Array(16))
    expect(await codeOf(await put(hash, one(), voteFor(0, 2n)))).toBe('bad-vote')
    expect(await codeOf(await put(hash, one(), bits(0, 1, 2)))).toBe('bad-vote')
    expect(await codeOf(await put(hash, one(), bits(0, 7)))).toBe(200)
  })

  it('moves the sum by at most the bound, whatever m clients send (property 6)', async () => {
    const { hash, closed } = await opened()
    const hostile = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 40 }), { numRuns: 300, seed: 4 })
    for (const [i, tail] of hostile.entries()) {
      await put(hash, clients[i % 3] as Identity, new Uint8Array([...new Uint8Array(16), ...tail]))
    }
    for (const who of clients.slice(0, 3)) await put(hash, who, voteFor(3, 65_536n))
    for (const who of clients.slice(3)) await put(hash, who, voteFor(5))
    clock.advance(60_000)
    const sums = exactSums(await sumVotes(await closed))
    const hostileSteps = [...sums].map((s, i) => (i === 5 ? Number(s) - 3 : Number(s)))
    expect(Math.hypot(...hostileSteps)).toBeLessThanOrEqual(3 * 65_536)
    expect(Number(sums[5])).toBeGreaterThanOrEqual(3)
  })
})

describe('signatures', () => {
  it('bind task, method, path, body, time and nonce: 10,000 changed requests, none accepted (property 3)', async () => {
    const { hash } = await opened()
    const other = (await opened({ round: 2 })).hash
    const body = voteFor(1)
    const path = votePath(hash)
    const honest = signedRequest(one(), 'PUT', path, body, coordinator.task, clock.now())
    const header = honest.headers.get('authorization') as string
    const send = (authorization: string, to = path, content = body, said = content) =>
      app.fetch(
        new Request(`http://coordinator.test${to}`, {
          method: 'PUT',
          body: new Uint8Array(content),
          headers: {
            ...SPOKEN,
            authorization,
            [BODY_HEADER]: sha256Hex(said),
            'content-type': 'application/octet-stream',
          },
        }),
      )
    const random = fc.sample(fc.tuple(fc.nat(header.length - 1), fc.nat(61)), { numRuns: 9000, seed: 1 })
    const alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
    let accepted = 0
    for (const [at, letter] of random) {
      const changed = header.slice(0, at) + alphabet[letter] + header.slice(at + 1)
      if (changed !== header && (await send(changed)).ok) accepted++
    }
    for (let i = 0; i < 1000; i++) {
      const changed = new Uint8Array(body)
      changed[i % body.length] = ((changed[i % body.length] as number) + 1 + (i % 250)) % 256
      // Under the hash that was signed, or its own.
      if ((await send(header, path, changed, i % 2 === 0 ? body : changed)).ok) accepted++
    }
    expect((await send(header, votePath(other))).ok).toBe(false)
    expect((await send(header, `${path}?x=1`)).ok).toBe(false)
    expect(accepted).toBe(0)
    expect(await store.voters(hash)).toBe(0)
    expect(await codeOf(await send(header))).toBe(200)
  })

  it.each([
    ['another task', { task: 'f'.repeat(32) }, 'unsigned'],
    ['another method', { signedMethod: 'POST' }, 'unsigned'],
    ['another path', { signedPath: `/v1/rounds/${'0'.repeat(64)}/vote` }, 'unsigned'],
    ['another body', { signedBody: voteFor(2) }, 'malformed'],
    ['a time 5 minutes ago', { time: 1_000_000 - 300_001 }, 'expired'],
    ['a time 5 minutes ahead', { time: 1_000_000 + 300_001 }, 'expired'],
    ['a nonce of another form', { nonce: 'short' }, 'unsigned'],
  ])('for %s are refused', async (_, change: SignedChange, code) => {
    const { hash } = await opened()
    expect(await codeOf(await put(hash, one(), voteFor(1), change))).toBe(code)
    expect(await store.voters(hash)).toBe(0)
  })

  it('of clients who did not enrol are refused', async () => {
    const { hash } = await opened()
    expect(await codeOf(await put(hash, client(77), voteFor(1)))).toBe('unsigned')
  })

  it('with a used nonce are refused, the very same request and another one', async () => {
    const { hash } = await opened()
    const nonce = 'AAAAAAAAAAAAAAAAAAAAAA'
    expect(await codeOf(await put(hash, one(), voteFor(1), { nonce }))).toBe(200)
    expect(await codeOf(await put(hash, one(), voteFor(1), { nonce }))).toBe('replayed')
    expect(await codeOf(await put(hash, one(), voteFor(1), { nonce: 'BBBBBBBBBBBBBBBBBBBBBA' }))).toBe(200)
  })
})

describe('enrolment', () => {
  const enrol = (token: string, who: Identity, signer = who) =>
    app.fetch(
      signedRequest(signer, 'POST', '/v1/clients', enrolmentBody(token, who), coordinator.task, clock.now()),
    )
  beforeEach(() => store.addTokens([createHash('sha256').update('t'.repeat(32)).digest('hex')], clock.now()))

  it('takes a token once, for one key', async () => {
    expect(await codeOf(await enrol('u'.repeat(32), client(50)))).toBe('unknown-token')
    expect((await enrol('t'.repeat(32), client(50))).status).toBe(201)
    expect((await enrol('t'.repeat(32), client(50))).status).toBe(201)
    expect(await codeOf(await enrol('t'.repeat(32), client(51)))).toBe('unknown-token')
  })

  it('needs the key that it names', async () => {
    expect(await codeOf(await enrol('t'.repeat(32), client(50), client(51)))).toBe('unsigned')
    expect((await enrol('t'.repeat(32), client(52))).status).toBe(201)
  })
})

describe('bodies', () => {
  /** A request of an enrolled client, which may send what it likes under its own signature. */
  const raw = (path: string, init: RequestInit & { duplex?: 'half' }) => {
    const signed = signedBy(one(), path, init.method as 'PUT', init.body)
    return app.fetch(
      new Request(`http://coordinator.test${path}`, { ...init, headers: { ...signed, ...init.headers } }),
    )
  }
  const signedBy = (who: Identity, path: string, method: 'POST' | 'PUT', body: unknown) => {
    const bytes = typeof body === 'string' ? utf8(body) : body instanceof Uint8Array ? body : new Uint8Array()
    const { headers } = signedRequest(who, method, path, bytes, coordinator.task, clock.now())
    return Object.fromEntries([...headers].filter(([name]) => name !== 'content-type'))
  }

  it('too large are refused, whether they say so or not', async () => {
    const { hash } = await opened()
    const headers = { 'content-type': 'application/octet-stream' }
    const large = new Uint8Array(10_000)
    expect(await codeOf(await raw(votePath(hash), { method: 'PUT', body: large, headers }))).toBe('too-large')
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1000
        controller.enqueue(new Uint8Array(1000))
      },
    })
    const answer = await raw(votePath(hash), { method: 'PUT', body: endless, headers, duplex: 'half' })
    expect(await codeOf(answer)).toBe('too-large')
    expect(sent).toBeLessThan(10_000)
  })

  it('of other types and encodings are refused', async () => {
    const { hash } = await opened()
    const send = (headers: Record<string, string>) =>
      raw(votePath(hash), { method: 'PUT', body: new Uint8Array(voteFor(1)), headers })
    expect(await codeOf(await send({ 'content-type': 'text/plain' }))).toBe('wrong-type')
    expect(
      await codeOf(await send({ 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' })),
    ).toBe('wrong-type')
  })

  it('of JSON are held to their schema, and never quoted', async () => {
    for (const body of [
      '',
      '{',
      '[]',
      '{"token":1}',
      '{"__proto__":{"token":"x"}}',
      '{"token":"secretsecret"}',
    ]) {
      const answer = await raw('/v1/clients', {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      const text = await answer.clone().text()
      expect(await codeOf(answer)).toBe('malformed')
      expect(text).not.toMatch(/secret/)
    }
  })

  it('no bytes and no path bring the coordinator down, or get another answer than the protocol has', async () => {
    const { hash } = await opened()
    const path = fc.constantFrom(
      '/v1/clients',
      votePath(hash),
      `/v1/rounds/${hash}/seat`,
      '/v1/blobs/x',
      '/v1/x',
    )
    const type = fc.constantFrom('application/json', 'application/octet-stream', 'text/plain', '')
    await fc.assert(
      fc.asyncProperty(
        path,
        fc.constantFrom('POST', 'PUT', 'DELETE', 'PATCH'),
        type,
        fc.uint8Array({ maxLength: 200 }),
        fc.option(fc.string({ unit: 'grapheme-ascii', maxLength: 60 })),
        async (to, method, contentType, body, authorization) => {
          // Of a stranger, or in an enrolled client's own name.
          const headers = {
            'content-type': contentType,
            ...(authorization === null ? {} : { authorization: `Pretext ${authorization.trim()}` }),
          }
          const answer = await raw(to, { method, body: new Uint8Array(body), headers })
          expect(answer.status).toBeLessThan(500)
          if (authorization !== null) expect(answer.status).toBeGreaterThanOrEqual(400)
          await codeOf(answer)
        },
      ),
      { numRuns: 1500 },
    )
  })
})

describe('a round', () => {
  it('ends at its deadline, and counts no vote after it', async () => {
    const { hash, closed } = await opened()
    for (const who of clients.slice(0, 2)) await put(hash, who, voteFor(1))
    clock.advance(60_000)
    expect(await codeOf(await put(hash, clients[2] as Identity, voteFor(1)))).toBe('round-closed')
    const { uploads } = await closed
    const counted = []
    for await (const upload of uploads()) counted.push(upload)
    expect(counted).toHaveLength(2)
  })

  it.each([0, 0.1, 0.5])(
    'with %s of its clients gone is released or refused, never stuck',
    async (dropout) => {
      const going = Math.round(clients.length * (1 - dropout))
      const { hash, closed } = await opened({ cohort: { minimum: 4, target: null, seats: null } })
      for (const who of clients.slice(0, going)) await put(hash, who, voteFor(1))
      clock.advance(60_000)
      if (going >= 4) expect((await closed).hash).toBe(hash)
      else await expect(closed).rejects.toMatchObject({ code: 'clients' })
    },
  )

  it('below the minimum cohort is refused, nothing is released or charged, and another attempt opens', async () => {
    const { hash, closed } = await opened({ attempts: 2 })
    await put(hash, one(), voteFor(1))
    clock.advance(60_000)
    await expect.poll(async () => (await store.round(hash))?.state).toBe('refused')
    const second = await openedRound(coordinator, exampleTerms({ attempts: 2 }))
    expect(second.hash).not.toBe(hash)
    expect(await codeOf(await put(hash, clients[1] as Identity, voteFor(1)))).toBe('round-closed')
    expect(await store.voters(second.hash)).toBe(0)
    clock.advance(60_000)
    await expect(closed).rejects.toThrow(
      'round 1: expected at least 2 clients to vote, got fewer in 2 attempts; nothing was released',
    )
  })

  it('votes of a refused round are wiped even where a crash came in between', async () => {
    const { hash, closed } = await opened({ attempts: 2 })
    closed.catch(() => {})
    const forgetVotes = store.forgetVotes
    store.forgetVotes = async () => {
      throw new Error('the process died here')
    }
    await put(hash, one(), voteFor(1))
    clock.advance(60_000)
    await expect(closed).rejects.toThrow('died here')
    store.forgetVotes = forgetVotes
    const bodies = async () => {
      const found = []
      for await (const body of store.votes(hash)) found.push(body.length)
      return found
    }
    expect(await bodies()).not.toEqual([0])
    await openedRound(coordinator, exampleTerms({ attempts: 2 }))
    expect(await bodies()).toEqual([0])
  })

  it('with a target closes when it is reached, and gives seats to 1.3 times as many', async () => {
    const { hash, closed } = await opened({ cohort: { minimum: 2, target: 3, seats: 4 } })
    const seat = (who: Identity) =>
      app.fetch(
        signedRequest(who, 'POST', `/v1/rounds/${hash}/seat`, utf8('{}'), coordinator.task, clock.now()),
      )
    expect(await codeOf(await put(hash, one(), voteFor(1)))).toBe('no-seat')
    for (const who of clients.slice(0, 4)) expect((await seat(who)).status).toBe(200)
    const refused = await seat(clients[4] as Identity)
    expect(refused.headers.get('retry-after')).toBe('30')
    expect(await codeOf(refused)).toBe('no-seat-left')
    for (const who of clients.slice(0, 3)) expect((await put(hash, who, voteFor(1))).status).toBe(200)
    clock.advance(500)
    expect((await closed).hash).toBe(hash)
    expect(await codeOf(await put(hash, clients[3] as Identity, voteFor(1)))).toBe('round-closed')
  })

  it('is the same round after a restart: same terms, same votes', async () => {
    const { hash } = await opened()
    await put(hash, one(), voteFor(1))
    await start()
    const again = await openedRound(coordinator, exampleTerms())
    expect(again.hash).toBe(hash)
    await put(hash, clients[1] as Identity, voteFor(2))
    clock.advance(60_000)
    expect(exactSums(await sumVotes(await again.closed))).toEqual(
      BigInt64Array.of(0n, 1n, 1n, 0n, 0n, 0n, 0n, 0n),
    )
  })

  it('is released once: a second look gives the same bytes and charges nothing (property 7)', async () => {
    const { hash, closed } = await opened()
    for (const who of clients) await put(hash, who, voteFor(2))
    clock.advance(60_000)
    const round = await closed
    const file = join(folder, 'release.json')
    const ledger = join(folder, 'ledger.jsonl')
    const options = {
      file,
      ledger,
      terms: { dataset: 'd', unit: 'client', adjacency: 'add-remove' },
      charge: { run: 'run-1', release: 'round-1', mechanism: { type: 'gaussian', noiseMultiplier: 2 } },
    } as const
    const looks = []
    for (let i = 0; i < 5; i++) {
      await trustedAggregation.release(round, options)
      const bytes = await readFile(file)
      await publishRelease(coordinator, hash, bytes)
      const state = RoundStateSchema.parse(
        await (await app.request(`/v1/rounds/${hash}/state`, { headers: SPOKEN })).json(),
      )
      const served = await (await app.request(`/v1/blobs/${state.release}`)).arrayBuffer()
      expect(Buffer.from(served).equals(bytes)).toBe(true)
      looks.push(state.release)
    }
    expect(new Set(looks).size).toBe(1)
    expect(chargesIn(await readLedger(ledger))).toHaveLength(1)
    // Who voted keeps the receipt; the votes are gone.
    expect((await put(hash, one(), voteFor(2))).status).toBe(200)
    for await (const body of store.votes(hash)) expect(body).toHaveLength(0)
  })
})

it('nonces are kept while their signatures could be used again, and not longer', async () => {
  const nonce = 'AAAAAAAAAAAAAAAAAAAAAA'
  const use = { client: one().client, nonce, received: 0 }
  for (const [round, openSeconds, fresh] of [
    [1, 500, false],
    [2, 700, true],
  ] as const) {
    const { hash, closed } = await opened({ round, openSeconds })
    await put(hash, one(), voteFor(1), { nonce })
    await put(hash, clients[1] as Identity, voteFor(1))
    await put(hash, clients[2] as Identity, voteFor(1))
    clock.advance(openSeconds * 1000)
    await closed
    await publishRelease(coordinator, hash, utf8(`release of round ${round}`))
    expect(await store.useNonce(use)).toBe(fresh)
  }
})

describe('the operator', () => {
  const hash = createHash('sha256').update('operator-secret').digest('hex')
  const operate = (action: string, token = 'operator-secret') =>
    app.request(`/v1/operator/${action}`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })

  it('pauses and resumes; meanwhile votes wait', async () => {
    await start({ operatorTokenHash: hash })
    const round = await opened()
    expect(await codeOf(await operate('pause', 'wrong'))).toBe('forbidden')
    expect((await operate('pause')).status).toBe(200)
    const refused = await put(round.hash, one(), voteFor(1))
    expect(refused.headers.get('retry-after')).toBe('30')
    expect(await codeOf(refused)).toBe('try-later')
    expect(TaskSchema.parse(await (await app.request('/v1/task', { headers: SPOKEN })).json()).state).toBe(
      'paused',
    )
    await operate('resume')
    expect((await put(round.hash, one(), voteFor(1))).status).toBe(200)
  })

  it('gets tokens that enrol', async () => {
    await start({ operatorTokenHash: hash })
    const { tokens } = (await (await operate('tokens')).json()) as { tokens: [string] }
    const who = client(60)
    const enrolment = enrolmentBody(tokens[0], who)
    const answer = await app.fetch(
      signedRequest(who, 'POST', '/v1/clients', enrolment, coordinator.task, clock.now()),
    )
    expect(answer.status).toBe(201)
    expect(await codeOf(await operate('explode'))).toBe('not-found')
  })

  it('without a token of its own, a coordinator takes none', async () => {
    expect(await codeOf(await operate('pause', ''))).toBe('forbidden')
    expect(await codeOf(await operate('pause', 'undefined'))).toBe('forbidden')
  })
})

describe('pages', () => {
  it.each([false, true])(
    'numbers of clients are shown only if declared public (%s)',
    async (publicCohort) => {
      await start({ publicCohort })
      const { hash } = await opened()
      for (const who of clients) await put(hash, who, voteFor(1))
      await app.request('/v1/task', { headers: SPOKEN })
      const metrics = await (await app.request('/metrics')).text()
      const status = await (await app.request('/status')).text()
      expect(/pretext_votes_total\{type="counted"\} 6/.test(metrics)).toBe(publicCohort)
      expect(/PUT vote|GET task/.test(metrics)).toBe(publicCohort)
      expect(status.includes('<td>6</td>')).toBe(publicCohort)
      expect(metrics).toMatch(/pretext_rounds\{state="open"\} 1/)
      expect(status).toContain('the coordinator sees each single vote')
    },
  )

  it('say that it is alive, ready, and who sees a vote', async () => {
    expect(await (await app.request('/healthz')).text()).toBe('ok\n')
    expect((await app.request('/readyz')).status).toBe(200)
    const task = TaskSchema.parse(await (await app.request('/v1/task', { headers: SPOKEN })).json())
    expect(task.state).toBe('waiting')
    expect(task.whoSeesAVote).toMatch(/^the coordinator sees each single vote/)
  })

  it('immutable bytes may be kept by caches', async () => {
    const { hash } = await opened()
    const answer = await app.request(`/v1/blobs/${hash}`)
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(sha256Hex(new Uint8Array(await answer.arrayBuffer()))).toBe(hash)
    const again = await app.request(`/v1/blobs/${hash}`, {
      headers: { 'if-none-match': answer.headers.get('etag') as string },
    })
    expect(again.status).toBe(304)
  })

  it('paths take their methods and no others', async () => {
    const refused = await app.request('/v1/task', { method: 'DELETE', headers: SPOKEN })
    expect(refused.headers.get('allow')).toBe('GET, HEAD')
    expect(await codeOf(refused)).toBe('method-not-allowed')
    expect(await codeOf(await app.request('/nowhere'))).toBe('not-found')
  })

  it('a store that fails is an answer of the protocol, and ready says so', async () => {
    await store.close()
    const answer = await app.request('/readyz')
    expect(await codeOf(answer)).toBe('internal')
    store = await sqlStore(await embeddedDatabase(join(folder, 'store.db')))
  })
})

it('the example manifest is one of the protocol', () => {
  expect(exampleManifest().candidates.count).toBe(8)
})
