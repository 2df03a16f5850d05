// The helper's HTTP side (docs/protocol.md). Requests of the leader are signed by it, answers are signed for the request that
// they answer; everybody else sees the sealing keys and whether the helper is there.
import { createPublicKey, verify } from 'node:crypto'
import { Hono } from 'hono'
import type { OnEvent } from '../../events.ts'
import { type Clock, systemClock } from '../clock.ts'
import { pathOf, refuseOtherMethods } from '../coordinator/app.ts'
import { parseBody, readBody } from '../coordinator/read-body.ts'
import { Refusal, refusalResponse } from '../coordinator/refusal.ts'
import type { AggregatorIdentity } from '../protocol/aggregator.ts'
import { toBase64Url } from '../protocol/bytes.ts'
import { ReleaseRequestSchema } from '../protocol/messages.ts'
import { helperOpenApiDocument } from '../protocol/openapi.ts'
import {
  answerBytes,
  clientIdOf,
  parseAuthorization,
  SIGNATURE_HEADER,
  SIGNATURE_WINDOW_MS,
  type SignedParts,
  signedBytes,
} from '../protocol/signing.ts'
import type { KeyRing } from '../verification/aggregator-keys.ts'
import type { HelperRounds } from './helper-rounds.ts'

const LARGEST_MANIFEST = 1 << 20
const LARGEST_JSON = 4096

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
  const authenticate = leaderOnly(options.leader, clock)

  const answered = async (error: unknown): Promise<Response> => {
    if (error instanceof Refusal) return refusalResponse(error)
    const name = error instanceof Error ? error.name : typeof error
    options.onEvent?.({ type: 'warning', message: `a request failed inside the helper (${name})` })
    return refusalResponse(new Refusal('internal'))
  }
  app.onError(answered)
  app.notFound(() => refusalResponse(new Refusal('not-found')))

  /** One operation of the leader: reads, checks who asks, answers, signs. */
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
      const body = await readBody(c.req.raw, await largest(hash), contentType)
      const header = c.req.header('authorization')
      const request = { method: 'PUT', path: pathOf(c.req.url), body, task: options.name }
      let replayed = false
      const response = await Promise.resolve()
        .then(() => authenticate(header, request))
        .then(() => act(hash, body, Number(number)))
        .then(
          (bytes) =>
            new Response(bytes === undefined ? '{}' : new Uint8Array(bytes), {
              headers: {
                'content-type': bytes === undefined ? 'application/json' : 'application/octet-stream',
                'cache-control': 'no-store',
              },
            }),
          (error: unknown) => {
            replayed = error instanceof Refusal && error.code === 'replayed'
            return answered(error)
          },
        )
      // A stranger's refusal is signed too, so that a leader that is not known here hears why at once. That of a request that
      // a network doubled is not: it would stand in for the answer to the first.
      const parts = parseAuthorization(header)
      if (parts === undefined || replayed) return response
      const bytes = new Uint8Array(await response.arrayBuffer())
      const signature = (await keys.current()).sign(
        answerBytes({ ...request, ...parts }, response.status, bytes),
      )
      const headers = new Headers(response.headers)
      headers.set(SIGNATURE_HEADER, toBase64Url(signature))
      return new Response(bytes, { status: response.status, headers })
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
    (hash, body) => rounds.release(hash, parseBody(body, ReleaseRequestSchema)),
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

/** Checks that a request is the leader's, fresh, and not one that came before. */
function leaderOnly({ signing }: AggregatorIdentity, clock: Clock) {
  const leader = clientIdOf(signing)
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(signing) }, format: 'jwk' })
  /** Nonces by time. Everything here may be done twice, so those of another life of this process need not be known. */
  const used = new Map<string, number>()
  return (header: string | undefined, request: Omit<SignedParts, 'time' | 'nonce'>): SignedParts => {
    const authorization = parseAuthorization(header)
    if (authorization === undefined || authorization.client !== leader) throw new Refusal('unsigned')
    const { time, nonce, signature } = authorization
    const now = clock.now()
    if (Math.abs(now - time) > SIGNATURE_WINDOW_MS) throw new Refusal('expired')
    const parts = { ...request, time, nonce }
    if (!verify(null, signedBytes(parts), key, signature)) throw new Refusal('unsigned')
    for (const [old, at] of used) {
      if (now - at <= 2 * SIGNATURE_WINDOW_MS) break
      used.delete(old)
    }
    if (used.has(nonce)) throw new Refusal('replayed')
    used.set(nonce, now)
    return parts
  }
}
