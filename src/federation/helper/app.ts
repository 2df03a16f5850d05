// The helper's HTTP side (docs/protocol.md). Requests of the leader are signed by it, answers are signed for the request that
// they answer; everybody else sees the sealing keys and whether the helper is there.
import { createPublicKey, verify } from 'node:crypto'
import { type Context, Hono } from 'hono'
import type { OnEvent } from '../../events.ts'
import { type Clock, systemClock } from '../clock.ts'
import { pathOf, refuseOtherMethods } from '../coordinator/app.ts'
import { isSigned } from '../coordinator/authenticate.ts'
import { bodyRoom, parseBody, readBody } from '../coordinator/read-body.ts'
import { Refusal, refusalResponse } from '../coordinator/refusal.ts'
import { nameVersion, spokenVersion } from '../coordinator/spoken-version.ts'
import type { AggregatorIdentity } from '../protocol/aggregator.ts'
import { toBase64Url } from '../protocol/bytes.ts'
import { ReleaseRequestSchema } from '../protocol/messages.ts'
import { helperOpenApiDocument } from '../protocol/openapi.ts'
import {
  type AskedWith,
  type Authorization,
  answerBytes,
  BODY_HEADER,
  clientIdOf,
  parseAuthorization,
  SIGNATURE_HEADER,
  SIGNATURE_WINDOW_MS,
  signedBytes,
} from '../protocol/signing.ts'
import type { KeyRing } from '../verification/aggregator-keys.ts'
import type { HelperRounds } from './helper-rounds.ts'

const LARGEST_MANIFEST = 1 << 20
const LARGEST_JSON = 4096
/** Bodies of the leader that are held at the same time, until they are answered. */
const LEADER_HELD = 2 ** 29

export interface HelperAppOptions {
  readonly rounds: HelperRounds
  readonly keys: KeyRing
  readonly leader: AggregatorIdentity
  /** `helperName` of this helper: a request to another one is none to this one. */
  readonly name: string
  readonly clock?: Clock
  readonly onEvent?: OnEvent
}

export function helperApp(options: HelperAppOptions): Hono {
  const { rounds, keys } = options
  const { clock = systemClock } = options
  const app = new Hono({ strict: false })
  const refusalOf = leaderOnly(options.leader, clock)
  const room = bodyRoom(LEADER_HELD)

  const answered = (error: unknown): Response => {
    if (error instanceof Refusal) return refusalResponse(error)
    const name = error instanceof Error ? error.name : typeof error
    options.onEvent?.({ type: 'warning', message: `a request failed inside the helper (${name})` })
    return refusalResponse(new Refusal('internal'))
  }
  app.onError(answered)
  app.notFound(() => refusalResponse(new Refusal('not-found')))

  const signedAnswer = async (asked: AskedWith, response: Response): Promise<Response> => {
    const bytes = new Uint8Array(await response.arrayBuffer())
    const signature = (await keys.current()).sign(answerBytes(asked, response.status, bytes))
    const headers = new Headers(response.headers)
    headers.set(SIGNATURE_HEADER, toBase64Url(signature))
    return new Response(bytes, { status: response.status, headers })
  }

  /** What was signed, by whoever; `protocol` is what that one speaks. */
  const headOf = (c: Context, protocol?: string) => {
    const header = c.req.header('authorization') ?? ''
    const bodySha256 = c.req.header(BODY_HEADER) ?? ''
    const authorization = parseAuthorization(header)
    if (authorization === undefined || !/^[0-9a-f]{64}$/.test(bodySha256)) return undefined
    const { time, nonce } = authorization
    const parts = { task: options.name, method: c.req.method, path: pathOf(c.req.url), time, nonce }
    const signed = signedBytes(protocol === undefined ? parts : { ...parts, protocol }, bodySha256)
    return { authorization, bodySha256, asked: { authorization: header, signed } }
  }
  app.use(async (c, next) => {
    await next()
    nameVersion(c)
  })
  // Signed for the request as a leader of that version signed it, and so for none of this version: it is believed at once
  // there, and stands in for nothing here.
  app.use(
    spokenVersion('the helper', async (refusal, c, spoken) => {
      const head = headOf(c, spoken)
      const response = refusalResponse(refusal)
      return head === undefined ? response : signedAnswer(head.asked, response)
    }),
  )

  /** One operation of the leader: checks who asks, reads, answers, signs. */
  const operation = (
    path: string,
    contentType: string,
    largest: (hash: string) => number | Promise<number>,
    act: (hash: string, body: Uint8Array, number: number) => Promise<Uint8Array | undefined>,
  ) =>
    app.put(path, async (c) => {
      const hash = c.req.param('manifest') ?? ''
      const number = c.req.param('number') ?? '0'
      if (!/^[0-9a-f]{64}$/.test(hash) || !/^(0|[1-9]\d{0,8})$/.test(number)) throw new Refusal('not-found')
      const head = headOf(c)
      if (head === undefined) throw new Refusal('unsigned')
      const { asked, authorization, bodySha256 } = head
      // Nothing is read, or looked up, for anybody else. A stranger's refusal is signed, so that a leader that is not known
      // here hears why at once. That of a request that a network doubled, or spoiled, is not: it would stand in for the
      // answer to the leader's own.
      const refusal = refusalOf(authorization, asked.signed)
      if (refusal?.code === 'replayed') throw refusal
      if (refusal !== undefined) return signedAnswer(asked, refusalResponse(refusal))
      let most: number
      try {
        most = await largest(hash)
      } catch (error) {
        return signedAnswer(asked, answered(error))
      }
      return room(c.req.raw, { largest: most }, async () => {
        const body = await readBody(c.req.raw, most, contentType)
        isSigned(body, { bodySha256 })
        return signedAnswer(asked, await act(hash, body, Number(number)).then(done, answered))
      })
    })

  operation(
    '/v1/rounds/:manifest',
    'application/json',
    () => LARGEST_MANIFEST,
    async (hash, body) => {
      await rounds.announce(hash, body)
      return undefined
    },
  )
  operation(
    '/v1/rounds/:manifest/jobs/:number',
    'application/octet-stream',
    rounds.largestJob,
    (hash, body, number) => rounds.job(hash, number, body),
  )
  operation(
    '/v1/rounds/:manifest/release',
    'application/json',
    () => LARGEST_JSON,
    async (hash, body) => rounds.release(hash, parseBody(body, ReleaseRequestSchema)),
  )
  operation(
    '/v1/rounds/:manifest/refused',
    'application/json',
    () => LARGEST_JSON,
    async (hash) => {
      await rounds.refuse(hash)
      return undefined
    },
  )

  app.get('/v1/keys', async (c) =>
    c.json((await keys.current()).sealingKeys(clock.now()), 200, { 'cache-control': 'no-store' }),
  )
  app.get('/v1/openapi.json', (c) => c.json(helperOpenApiDocument()))
  app.get('/healthz', (c) => c.text('ok\n'))
  app.get('/readyz', async (c) => {
    await rounds.store.rounds()
    return c.text('ready\n')
  })
  refuseOtherMethods(app)
  return app
}

const done = (bytes: Uint8Array | undefined): Response =>
  new Response(bytes === undefined ? '{}' : new Uint8Array(bytes), {
    headers: {
      'content-type': bytes === undefined ? 'application/json' : 'application/octet-stream',
      'cache-control': 'no-store',
    },
  })

/** Requests of the leader within ten minutes; an honest one makes a few in a second. */
const NONCES_HELD = 100_000

/** Why a request is not the leader's, fresh, or one that has not come before; undefined where it is all of this. */
function leaderOnly({ signing }: AggregatorIdentity, clock: Clock) {
  const leader = clientIdOf(signing)
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(signing) }, format: 'jwk' })
  /** Nonces by time. Everything here may be done twice, so those of another life of this process need not be known. */
  const used = new Map<string, number>()
  return ({ client, time, nonce, signature }: Authorization, signed: Uint8Array): Refusal | undefined => {
    if (client !== leader) return new Refusal('unsigned')
    const now = clock.now()
    if (Math.abs(now - time) > SIGNATURE_WINDOW_MS) return new Refusal('expired')
    if (!verify(null, signed, key, signature)) return new Refusal('unsigned')
    for (const [old, at] of used) {
      if (now - at <= 2 * SIGNATURE_WINDOW_MS) break
      used.delete(old)
    }
    if (used.has(nonce)) return new Refusal('replayed')
    if (used.size >= NONCES_HELD) return new Refusal('try-later', 'too many requests')
    used.set(nonce, now)
    return undefined
  }
}
