// The coordinator's HTTP side (docs/protocol.md). Stateless: everything that must last is in the store.
import { createHash, timingSafeEqual } from 'node:crypto'
import { type Context, Hono } from 'hono'
import type { Aggregation } from '../aggregation/aggregation.ts'
import { fromBase64Url } from '../protocol/bytes.ts'
import { type Manifest, PROTOCOL } from '../protocol/manifest.ts'
import { EnrolmentSchema, type Receipt, type RoundState, type Task } from '../protocol/messages.ts'
import { openApiDocument } from '../protocol/openapi.ts'
import { BODY_HEADER, clientIdOf } from '../protocol/signing.ts'
import type { StoredRound, UploadedVote } from '../stores/store.ts'
import { type Authenticated, createAuthenticator, freshHead, isSigned } from './authenticate.ts'
import { type Coordinator, spokenManifest } from './coordinator.ts'
import { createMetrics } from './metrics.ts'
import { operatorAction } from './operator.ts'
import { bodyRoom, parseBody, readBody } from './read-body.ts'
import { Refusal, refusalResponse } from './refusal.ts'
import { nameVersion, spokenVersion } from './spoken-version.ts'
import { statusPage } from './status-page.ts'

const IMMUTABLE = 'public, max-age=31536000, immutable'
const JSON_LIMIT = 4096
/**
 * Bodies that are held at the same time. Of strangers: enrolments, whose key is in the body; everybody else is known, by a
 * signature over the headers, before anything is read (authenticate.ts). Of clients: uploads until they are counted.
 */
export const STRANGERS_HELD = 256 * JSON_LIMIT
export const CLIENTS_HELD = 256 * 2 ** 20
/** A sixteenth for each, so that one of them keeps nobody out. */
const CLIENT_HELD = CLIENTS_HELD / 16
/** How long the open round may be remembered between two looks at the store. */
const FRESH_MS = 250

export function coordinatorApp(coordinator: Coordinator): Hono {
  const { store, aggregation, clock, task, pollSeconds } = coordinator
  const app = new Hono({ strict: false })
  const authenticate = createAuthenticator(store, task)
  const strangers = bodyRoom(STRANGERS_HELD)
  const clients = bodyRoom(CLIENTS_HELD, CLIENT_HELD)
  const metrics = createMetrics(coordinator)

  app.use(async (c, next) => {
    const started = performance.now()
    await next()
    c.header('x-content-type-options', 'nosniff')
    nameVersion(c)
    metrics.answered(c.req.method, c.req.path, c.res.status, performance.now() - started)
  })
  app.onError((error) => {
    if (error instanceof Refusal) {
      metrics.refused(error.code)
      return refusalResponse(error)
    }
    // What went wrong may quote a request, so only its kind is told.
    coordinator.onEvent?.({
      type: 'warning',
      message: `a request failed inside the coordinator (${error.name})`,
    })
    metrics.refused('internal')
    return refusalResponse(new Refusal('internal'))
  })
  app.notFound(() => refusalResponse(new Refusal('not-found')))
  app.use(spokenVersion('the coordinator'))

  let seen: { readonly at: number; readonly round: StoredRound | undefined; readonly task: Task } | undefined
  const current = async () => {
    const now = clock.now()
    if (seen !== undefined && now - seen.at >= 0 && now - seen.at < FRESH_MS) return seen
    const control = await store.control()
    let [open, manifest]: [StoredRound?, Manifest?] = []
    for (const round of await store.rounds()) {
      if (round.state !== 'open' || round.deadline <= now) continue
      manifest = await spokenManifest(coordinator, round.manifest)
      if (manifest === undefined) continue
      open = round
      break
    }
    const state = control === 'running' ? (manifest === undefined ? 'waiting' : 'open') : control
    const answer: Task = {
      protocol: PROTOCOL,
      task,
      name: coordinator.name,
      aggregation: aggregation.terms,
      whoSeesAVote: aggregation.whoSeesAVote,
      privacy: coordinator.privacy,
      labels: coordinator.labels,
      state,
      round:
        open === undefined || manifest === undefined
          ? null
          : { manifest: open.manifest, number: manifest.round, deadline: open.deadline },
      time: now,
      retryAfter: pollSeconds,
    }
    seen = { at: now, round: open, task: answer }
    return seen
  }
  const headOf = (c: Context) => ({
    authorization: c.req.header('authorization'),
    bodySha256: c.req.header(BODY_HEADER),
    method: c.req.method,
    path: pathOf(c.req.url),
  })
  /** A client's request: who sent it, by its headers, and then its body. */
  const fromClient = async <T>(
    c: Context,
    { largest, type }: { readonly largest: number; readonly type: string },
    act: (who: Authenticated, body: Uint8Array) => Promise<T>,
  ): Promise<T> => {
    const who = await authenticate(headOf(c), clock.now())
    return clients(c.req.raw, { largest, sender: who.client }, async () => {
      const body = await readBody(c.req.raw, largest, type)
      isSigned(body, who)
      return act(who, body)
    })
  }
  const roundOf = async (c: Context) => {
    const hash = c.req.param('manifest') ?? ''
    const manifest = /^[0-9a-f]{64}$/.test(hash) ? await spokenManifest(coordinator, hash) : undefined
    if (manifest === undefined) throw new Refusal('not-found')
    return { hash, manifest }
  }
  const retryAfter = { 'retry-after': String(pollSeconds) }
  const requireRunning = async () => {
    const { state } = (await current()).task
    if (state === 'paused') throw new Refusal('try-later', 'the coordinator is paused', retryAfter)
  }

  app.get('/v1/task', async (c) => {
    const { task: answer } = await current()
    return c.json({ ...answer, time: clock.now() }, 200, { 'cache-control': 'no-store' })
  })

  app.get('/v1/blobs/:sha256', async (c) => {
    const name = c.req.param('sha256')
    const bytes = /^[0-9a-f]{64}$/.test(name) ? await store.blob(name) : undefined
    if (bytes === undefined) throw new Refusal('not-found')
    const headers = { 'cache-control': IMMUTABLE, etag: `"${name}"` }
    if (c.req.header('if-none-match') === `"${name}"`) return c.body(null, 304, headers)
    return c.body(new Uint8Array(bytes), 200, { ...headers, 'content-type': 'application/octet-stream' })
  })

  app.get('/v1/keys', async (c) => {
    if (aggregation.keys === undefined) throw new Refusal('not-found')
    return c.json(await aggregation.keys(), 200, { 'cache-control': 'no-store' })
  })

  app.post('/v1/clients', async (c) => {
    const head = headOf(c)
    freshHead(head, clock.now())
    return strangers(c.req.raw, { largest: JSON_LIMIT }, async () => {
      const body = await readBody(c.req.raw, JSON_LIMIT, 'application/json')
      const { token, publicKey } = parseBody(body, EnrolmentSchema)
      const key = fromBase64Url(publicKey)
      if (key?.length !== 32) throw new Refusal('malformed', 'expected an Ed25519 public key of 32 bytes')
      const now = clock.now()
      const who = await authenticate(head, now, key)
      isSigned(body, who)
      const { client } = who
      if (client !== clientIdOf(key)) throw new Refusal('unsigned')
      const tokenHash = createHash('sha256').update(token).digest('hex')
      const outcome = await store.enrol({ tokenHash, client, publicKey: key, at: now })
      if (outcome === 'unknown-token') throw new Refusal('unknown-token')
      return c.json({ client, task }, 201)
    })
  })

  app.get('/v1/rounds/:manifest/state', async (c) => {
    const { hash } = await roundOf(c)
    const round = (await store.round(hash)) as StoredRound
    const answer: RoundState = { manifest: hash, state: round.state, release: round.release }
    return c.json(answer, 200, { 'cache-control': 'no-store' })
  })

  app.post('/v1/rounds/:manifest/seat', async (c) => {
    const { hash } = await roundOf(c)
    return fromClient(c, { largest: JSON_LIMIT, type: 'application/json' }, async ({ client, nonce }) => {
      const received = clock.now()
      await requireRunning()
      if (!(await store.useNonce({ client, nonce, received }))) throw new Refusal('replayed')
      const outcome = await store.takeSeat(hash, client, received)
      if (outcome === 'no-seat-left') throw new Refusal('no-seat-left', undefined, retryAfter)
      if (outcome === 'round-closed') throw new Refusal('round-closed')
      return c.json({ manifest: hash, client })
    })
  })

  app.put('/v1/rounds/:manifest/vote', async (c) => {
    const { hash, manifest } = await roundOf(c)
    const upload = { largest: aggregation.largestUpload(manifest), type: aggregation.contentType }
    return fromClient(c, upload, async ({ client, nonce, bodySha256 }, body) => {
      const received = clock.now()
      await requireRunning()
      const vote = { manifest: hash, client, nonce, body, sha256: bodySha256, received }
      const outcome = await checkedAtTheDoor(aggregation, vote, manifest)
        .then(() => coordinator.votes.cast(vote))
        .catch(async (error: unknown) => {
          // Keys run out, but what was counted stays so: who asks again hears that it was.
          const counted = isOutdated(error) ? await store.countedVote(hash, client) : undefined
          if (counted?.sha256 !== bodySha256) throw error
          if (!(await store.useNonce(vote))) throw new Refusal('replayed')
          return { type: 'again' as const, ...counted }
        })
      if (outcome.type !== 'counted' && outcome.type !== 'again') throw new Refusal(outcome.type)
      metrics.counted(outcome.type)
      const receipt: Receipt = {
        manifest: hash,
        client,
        sha256: outcome.sha256,
        received: outcome.received,
      }
      return c.json(receipt)
    })
  })

  app.post('/v1/operator/:action', async (c) => {
    const bearer = /^Bearer ([\w.-]+)$/.exec(c.req.header('authorization') ?? '')?.[1]
    if (!sameHash(bearer, coordinator.operatorTokenHash)) throw new Refusal('forbidden')
    const answer = await operatorAction(coordinator, c.req.param('action'), clock.now())
    seen = undefined
    return c.json(answer)
  })

  app.get('/healthz', (c) => c.text('ok\n'))
  app.get('/readyz', async (c) => {
    await store.control()
    return c.text('ready\n')
  })
  app.get('/metrics', async (c) => c.text(await metrics.text(), 200, { 'content-type': metrics.contentType }))
  app.get('/v1/openapi.json', (c) => c.json(openApiDocument()))
  app.get('/', (c) => c.redirect('/status'))
  app.get('/status', async (c) => c.html(await statusPage(coordinator)))
  refuseOtherMethods(app)
  return app
}

async function checkedAtTheDoor(
  aggregation: Aggregation,
  { manifest: hash, client, body }: UploadedVote,
  manifest: Manifest,
): Promise<void> {
  try {
    await aggregation.check(body, manifest, { hash, client })
  } catch (error) {
    throw error instanceof RangeError ? new Refusal('bad-vote', error.message) : error
  }
}

function isOutdated(error: unknown): boolean {
  return error instanceof Refusal && error.code === 'outdated-key'
}

/** Every other method of a path that is there gets 405 with the methods that it takes (RFC 9110). */
export function refuseOtherMethods(app: Hono): void {
  const methods = new Map<string, string[]>()
  for (const { path, method } of app.routes.filter(({ method }) => method !== 'ALL')) {
    const taken = method === 'GET' ? ['GET', 'HEAD'] : [method]
    methods.set(path, [...(methods.get(path) ?? []), ...taken])
  }
  for (const [path, taken] of methods) {
    app.all(path, () => {
      throw new Refusal('method-not-allowed', undefined, { allow: taken.join(', ') })
    })
  }
}

/** Path and query as they were sent. */
export function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return `${pathname}${search}`
}

function sameHash(token: string | undefined, expected: string | undefined): boolean {
  if (token === undefined || expected === undefined) return false
  return timingSafeEqual(createHash('sha256').update(token).digest(), Buffer.from(expected, 'hex'))
}
