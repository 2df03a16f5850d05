// Two that speak different versions of the protocol: each hears which the other speaks and who must update, in exact words,
// whichever of them is the older one, and nothing else of the request is looked at.
import { randomBytes, verify } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { createFederatedClient } from '../../src/federation/client/client.ts'
import { collectRound } from '../../src/federation/coordinator/collect.ts'
import { sha256Hex, toBase64Url, utf8 } from '../../src/federation/protocol/bytes.ts'
import { manifestBytes, manifestHash, PROTOCOL } from '../../src/federation/protocol/manifest.ts'
import { ProblemSchema } from '../../src/federation/protocol/messages.ts'
import {
  answerBytes,
  authorization,
  BODY_HEADER,
  helperName,
  SIGNATURE_HEADER,
  signedBytes,
} from '../../src/federation/protocol/signing.ts'
import { PROTOCOL_HEADER } from '../../src/federation/protocol/version.ts'
import { embedder, exampleManifest, SPOKEN } from './example.ts'
import { pairsOf, problemOf } from './two-server-kit.ts'
import { memoryState, POLICY } from './two-servers.ts'

const { pairOf } = pairsOf(afterEach)
const OLD = 'pretext-federation/1'
const NEW = 'pretext-federation/3'

/** The version in a header: one, another, none, or nonsense. */
function named(headers: Headers, protocol: string | undefined): Headers {
  const changed = new Headers(headers)
  changed.delete(PROTOCOL_HEADER)
  if (protocol !== undefined) changed.set(PROTOCOL_HEADER, protocol)
  return changed
}

async function answerIn(response: Response, protocol: string | undefined): Promise<Response> {
  const { status, headers } = response
  return new Response(await response.arrayBuffer(), { status, headers: named(headers, protocol) })
}

/** A client that never waits for long between its tries. */
function clientOf(ask: typeof fetch) {
  const { storage, ledger } = memoryState()
  return createFederatedClient({
    server: 'http://coordinator.test',
    policy: POLICY,
    embedder,
    storage,
    ledger,
    fetch: ask,
    jitter: () => 0,
  })
}

describe('a client and a coordinator', () => {
  it.each([
    [undefined, `the coordinator speaks ${PROTOCOL}, you speak ${OLD}: update pretext where you ask from`],
    [OLD, `the coordinator speaks ${PROTOCOL}, you speak ${OLD}: update pretext where you ask from`],
    [
      'pretext-federation/<b>',
      `the coordinator speaks ${PROTOCOL}, you speak ${OLD}: update pretext where you ask from`,
    ],
    [NEW, `the coordinator speaks ${PROTOCOL}, you speak ${NEW}: update pretext at the coordinator`],
  ])('a client that names %s is told so, by a code that every version knows', async (protocol, detail) => {
    const { app } = await pairOf()
    const headers = named(new Headers(), protocol)
    const round = `/v1/rounds/${'a'.repeat(64)}`
    for (const [method, path] of [
      ['GET', '/v1/task'],
      ['GET', '/v1/keys'],
      ['POST', '/v1/clients'],
      ['GET', `${round}/state`],
      ['POST', `${round}/seat`],
      ['PUT', `${round}/vote`],
    ] as const) {
      const answer = await app.request(path, { method, headers })
      expect(answer.status, path).toBe(400)
      expect(answer.headers.get(PROTOCOL_HEADER)).toBe(PROTOCOL)
      expect(ProblemSchema.parse(await answer.json())).toMatchObject({ code: 'malformed', detail })
    }
  })

  it('what is the same in every version, or for people, is for everybody', async () => {
    const { app, open } = await pairOf()
    const hash = await open()
    for (const path of [`/v1/blobs/${hash}`, '/v1/openapi.json', '/status', '/healthz', '/metrics']) {
      const answer = await app.request(path)
      expect(answer.status, path).toBe(200)
      // A cache may give these to a client of another version.
      expect(answer.headers.get(PROTOCOL_HEADER)).toBeNull()
    }
  })

  it.each([
    [
      undefined,
      `the coordinator at http://coordinator.test names no version, as ${OLD} and other programs do; this pretext speaks ${PROTOCOL}`,
      'check the address; if the coordinator is there, its operator must update pretext',
    ],
    [
      OLD,
      `the coordinator at http://coordinator.test names ${OLD}; this pretext speaks ${PROTOCOL}`,
      'check the address; if the coordinator is there, its operator must update pretext',
    ],
    [
      NEW,
      `the coordinator at http://coordinator.test names ${NEW}; this pretext speaks ${PROTOCOL}`,
      'update pretext on this machine',
    ],
  ])('a client hears at once that a coordinator names %s', async (protocol, message, hint) => {
    const pair = await pairOf()
    let asked = 0
    const client = clientOf(async (input, init) => {
      asked++
      return answerIn(await pair.fetch(input, init), protocol)
    })
    await expect(client.task()).rejects.toMatchObject({ code: 'federation', message, hint })
    expect(asked).toBe(1)
  })

  it('an answer of a proxy in between is not taken for another version', async () => {
    const pair = await pairOf()
    let asked = 0
    const client = clientOf(async (input, init) =>
      ++asked === 1 ? new Response('bad gateway', { status: 502 }) : pair.fetch(input, init),
    )
    expect((await client.task()).protocol).toBe(PROTOCOL)
  })
})

describe('a leader and a helper', () => {
  const document = manifestBytes(exampleManifest())
  const hash = manifestHash(exampleManifest())

  it.each([
    [undefined, OLD, `the helper speaks ${PROTOCOL}, you speak ${OLD}: update pretext where you ask from`],
    [NEW, NEW, `the helper speaks ${PROTOCOL}, you speak ${NEW}: update pretext at the helper`],
  ])('a leader that names %s hears it, signed as its version signs', async (header, spoken, detail) => {
    const pair = await pairOf()
    const own = await pair.leaderKeys.current()
    const path = `/v1/rounds/${hash}`
    const parts = {
      protocol: spoken,
      task: helperName(pair.helper.text),
      method: 'PUT',
      path,
      body: document,
      time: Date.now(),
      nonce: toBase64Url(randomBytes(16)),
    }
    const signed = signedBytes(parts)
    const asked = { authorization: authorization(own.client, parts, own.sign(signed)), signed }
    const headers = named(new Headers(), header)
    for (const [name, value] of [
      ['authorization', asked.authorization],
      [BODY_HEADER, sha256Hex(document)],
      ['content-type', 'application/json'],
    ] as const)
      headers.set(name, value)
    const request = new Request(`http://helper.test${path}`, {
      method: 'PUT',
      headers,
      body: new Uint8Array(document),
    })
    const answer = await pair.askHelper(request)
    const signature = Buffer.from(answer.headers.get(SIGNATURE_HEADER) ?? '', 'base64url')
    const bytes = new Uint8Array(await answer.arrayBuffer())
    expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({
      status: 400,
      code: 'malformed',
      detail,
    })
    const key = {
      key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(pair.helper.signing) },
      format: 'jwk',
    } as const
    expect(verify(null, answerBytes(asked, 400, bytes), key, signature)).toBe(true)
    // Worth nothing to a leader of this version: it does not stand for an answer to a request of its own.
    const here = { ...asked, signed: signedBytes({ ...parts, protocol: PROTOCOL }) }
    expect(verify(null, answerBytes(here, 400, bytes), key, signature)).toBe(false)
    expect(await pair.atHelper.rounds()).toEqual([])
  })

  it('who only asks for the helper’s keys hears it too', async () => {
    const pair = await pairOf()
    const ask = (headers: Record<string, string>) =>
      pair.askHelper(new Request('http://helper.test/v1/keys', { headers }))
    expect((await problemOf(await ask({}))).detail).toBe(
      `the helper speaks ${PROTOCOL}, you speak ${OLD}: update pretext where you ask from`,
    )
    expect((await ask(SPOKEN)).status).toBe(200)
  })

  it('a helper of a later version refuses the leader’s round at once, in words', async () => {
    const later = await pairOf({
      patienceMs: 600_000,
      between: async (request, helper) => {
        const answer = await helper(request)
        return answerIn(answer, NEW)
      },
    })
    await expect(later.connection.announce(hash, document)).rejects.toMatchObject({
      message: `the helper at http://helper.test names ${NEW}; this pretext speaks ${PROTOCOL}`,
      hint: 'update pretext on this machine',
    })
    expect(later.asked).toHaveLength(1)
  })

  it('a helper of version 1, whose signature cannot be told from a forged one, is asked again, and then named', async () => {
    const warned: string[] = []
    const pair = await pairOf({
      patienceMs: 3000,
      onRetry: (why) => void warned.push(why),
      between: async (request, helper) => {
        const answer = await answerIn(await helper(request), undefined)
        answer.headers.set(SIGNATURE_HEADER, 'A'.repeat(86))
        return answer
      },
    })
    const message = `the helper at http://helper.test names no version, as ${OLD} and other programs do; this pretext speaks ${PROTOCOL}`
    await expect(pair.connection.announce(hash, document)).rejects.toMatchObject({
      code: 'federation',
      message,
      hint: 'check the address; if the helper is there, its operator must update pretext',
    })
    expect(pair.asked.length).toBeGreaterThan(1)
    expect(new Set(warned)).toEqual(new Set([message]))
  })

  it('keys without a version are not taken for a helper’s of this one', async () => {
    const pair = await pairOf({
      between: async (request, helper) => answerIn(await helper(request), undefined),
    })
    await expect(pair.connection.sealingKeys()).rejects.toThrow(/^the helper at .* names no version/)
  })
})

it('a round that an earlier version left open is shown to no client, and whoever goes on with its run hears why', async () => {
  const pair = await pairOf()
  const old = utf8(JSON.stringify({ ...exampleManifest({ task: pair.task }), protocol: OLD }))
  const name = sha256Hex(old)
  await pair.store.putBlob(name, old)
  const { run, round: number } = pair.terms
  const times = { opened: Date.now(), deadline: Date.now() + 60_000 }
  await pair.store.openRound({ manifest: name, run, number, attempt: 1, ...times, seats: null })
  const task = await pair.app.request('/v1/task', { headers: SPOKEN })
  expect([task.status, await task.json()]).toMatchObject([200, { state: 'waiting', round: null }])
  const state = await pair.app.request(`/v1/rounds/${name}/state`, { headers: SPOKEN })
  expect((await problemOf(state)).code).toBe('not-found')
  // The owner's page is there too, and leaves out nothing without a word.
  const page = async () => (await pair.app.request('/status')).text()
  expect(await page()).not.toContain('of an earlier version')
  await expect(collectRound(pair.coordinator, pair.terms)).rejects.toMatchObject({
    message: `expected a round manifest of ${PROTOCOL}, got one of ${OLD}`,
    hint: 'end the run with the version of pretext that began the round, or start a new run',
  })
  await pair.store.closeRound(name)
  await pair.store.endRound(name, 'released', name)
  expect(await page()).toMatch(/at delta 0.00001, without 1 of an earlier version, which the ledger has/)
})

it('a round of another version is refused by name, and what to do is said', async () => {
  const pair = await pairOf()
  const old = utf8(JSON.stringify({ ...exampleManifest(), protocol: OLD }))
  await expect(pair.connection.announce(sha256Hex(old), old)).rejects.toThrow(
    `expected a round manifest of ${PROTOCOL}, got one of ${OLD}`,
  )
})
