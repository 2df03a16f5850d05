// The Hugging Face Hub's file protocol: where a file is, what the Hub says about it, and requests that give up quickly
// where there is no Hub (a closed network must not wait at every file).
import { setTimeout as sleep } from 'node:timers/promises'
import type { Environment } from './cache-folder.ts'
import type { HubSource } from './model.ts'

const PUBLIC_HUB = 'https://huggingface.co'
const MAX_REDIRECTS = 5
const MAX_RETRIES = 3
const MAX_WAIT_SECONDS = 30

export interface Hub {
  readonly endpoint: string
  readonly token: string | undefined
  readonly fetch: typeof fetch
  /** How long the Hub may take to answer the first request; later ones have `answerMs`. */
  readonly connectMs: number
  readonly answerMs: number
  /** How long a download may stand still before it is taken up again. */
  readonly stallMs: number
  readonly sleep: (ms: number) => Promise<void>
}

export interface HubOptions {
  readonly fetch?: typeof fetch
  readonly connectMs?: number
  readonly stallMs?: number
  readonly sleep?: (ms: number) => Promise<void>
}

export function openHub(env: Environment, options: HubOptions = {}): Hub {
  const connectMs = options.connectMs ?? 5000
  return {
    endpoint: (env.HF_ENDPOINT || PUBLIC_HUB).replace(/\/+$/, ''),
    token: env.HF_TOKEN || undefined,
    fetch: options.fetch ?? fetch,
    connectMs,
    answerMs: Math.max(connectMs, 30_000),
    stallMs: options.stallMs ?? 30_000,
    sleep: options.sleep ?? ((ms) => sleep(ms)),
  }
}

/** Hubs that could not be reached, with the reason: remembered so that one run waits for one of them once. */
const unreachable = new Map<string, string>()

export function whyUnreachable(hub: Hub): string | undefined {
  return unreachable.get(hub.endpoint)
}

export function fileUrl(hub: Hub, source: HubSource): string {
  const path = source.path.split('/').map(encodeURIComponent).join('/')
  return `${hub.endpoint}/${source.repo}/resolve/${encodeURIComponent(source.revision)}/${path}`
}

export function hubHeaders(hub: Hub): Record<string, string> {
  // Identity: a compressed answer would have another length than the file, and could not be resumed.
  const headers: Record<string, string> = { 'accept-encoding': 'identity', 'user-agent': 'pretext' }
  if (hub.token !== undefined) headers.authorization = `Bearer ${hub.token}`
  return headers
}

export type HubAnswer =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly reason: string }

export interface HubRequest {
  readonly method: 'GET' | 'HEAD'
  readonly headers?: Record<string, string>
  readonly redirect: 'manual' | 'follow'
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** One request, asked again after 429 and 5xx. The timeout is for the answer's head only, not for its body. */
export async function askHub(hub: Hub, url: string, request: HubRequest): Promise<HubAnswer> {
  for (let retry = 0; ; retry++) {
    const timer = new AbortController()
    const timeout = setTimeout(() => timer.abort(), request.timeoutMs)
    let response: Response
    try {
      response = await hub.fetch(url, {
        method: request.method,
        headers: { ...hubHeaders(hub), ...request.headers },
        redirect: request.redirect,
        signal: request.signal ? AbortSignal.any([request.signal, timer.signal]) : timer.signal,
      })
    } catch (error) {
      request.signal?.throwIfAborted()
      const seconds = request.timeoutMs / 1000
      const why = timer.signal.aborted ? `no answer within ${seconds} s` : networkReason(error)
      return { ok: false, reason: `could not connect (${why})` }
    } finally {
      clearTimeout(timeout)
    }
    const { status } = response
    if (status < 400) return { ok: true, response }
    const waitSeconds = retryAfter(response) ?? 2 ** retry
    // The body of a refusal is not needed; leaving it unread would keep the connection busy.
    await response.body?.cancel()
    const again = status === 429 || status >= 500
    if (!again || retry === MAX_RETRIES || waitSeconds > MAX_WAIT_SECONDS) {
      return { ok: false, reason: refusal(status, hub) }
    }
    await hub.sleep(waitSeconds * 1000)
    request.signal?.throwIfAborted()
  }
}

export type Probe =
  | { readonly ok: true; readonly sha256: string | undefined; readonly bytes: number | undefined }
  | { readonly ok: false; readonly reason: string }

/** What the Hub says about a file before anything is downloaded: for large files its sha256 and size. */
export async function probe(hub: Hub, source: HubSource, signal: AbortSignal | undefined): Promise<Probe> {
  const known = unreachable.get(hub.endpoint)
  if (known !== undefined) return { ok: false, reason: known }
  let url = fileUrl(hub, source)
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const answer = await askHub(hub, url, {
      method: 'HEAD',
      redirect: 'manual',
      timeoutMs: hub.connectMs,
      signal,
    })
    if (!answer.ok) {
      if (answer.reason.startsWith('could not connect')) unreachable.set(hub.endpoint, answer.reason)
      return answer
    }
    const { headers, status } = answer.response
    const linked = headers.get('x-linked-etag')
    const location = headers.get('location')
    // A repository that was renamed redirects within the Hub; a large file redirects to its storage, and says so first.
    if (linked === null && location !== null && status >= 300) {
      const next = new URL(location, url)
      if (next.origin === new URL(hub.endpoint).origin) {
        url = next.href
        continue
      }
    }
    const etag = (linked ?? headers.get('etag') ?? '').replace(/^W\//, '').replaceAll('"', '')
    const size = headers.get('x-linked-size') ?? (status < 300 ? headers.get('content-length') : null)
    return {
      ok: true,
      sha256: /^[0-9a-f]{64}$/.test(etag) ? etag : undefined,
      bytes: size === null ? undefined : Number(size),
    }
  }
  return { ok: false, reason: `more than ${MAX_REDIRECTS} redirects` }
}

/** Seconds the server asks to wait, if it says so in seconds. */
function retryAfter(response: Response): number | undefined {
  const value = response.headers.get('retry-after')
  return value !== null && /^\d+$/.test(value) ? Number(value) : undefined
}

function refusal(status: number, hub: Hub): string {
  if (status === 401 || status === 403) {
    const advice =
      hub.token === undefined ? 'set HF_TOKEN if it is' : 'the token in HF_TOKEN does not open it'
    return `answered ${status}: the repository is private, gated or absent; ${advice}`
  }
  if (status === 404) return 'answered 404: there is no such file'
  if (status === 429) return 'answered 429: too many requests; try later'
  return `answered ${status}`
}

export function networkReason(error: unknown): string {
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  return cause?.code ?? cause?.message ?? (error as Error).message
}
