// What one attempt at a provider can fail with. Providers throw these and `retry.ts` decides: try again, or a PretextError.
// A message never holds the key, nor the request.

export interface ProviderFailureOptions {
  /** HTTP status, where an answer came. */
  readonly status?: number
  /** The provider's own wish. */
  readonly retryAfterMs?: number
  /** No answer came in time. */
  readonly timedOut?: boolean
  /** No connection: the network, the server, or more sockets than this process may open. */
  readonly unreached?: boolean
  /** What to do if trying again is no use. */
  readonly hint?: string
  /** 'never': the same request will fail again. 'briefly': a broken answer, worth a few attempts. */
  readonly retry: 'patiently' | 'briefly' | 'never'
}

export class ProviderFailure extends Error {
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly timedOut: boolean
  readonly unreached: boolean
  readonly hint: string | undefined
  readonly retry: 'patiently' | 'briefly' | 'never'

  constructor(message: string, options: ProviderFailureOptions) {
    super(message)
    this.name = 'ProviderFailure'
    this.status = options.status
    this.retryAfterMs = options.retryAfterMs
    this.timedOut = options.timedOut ?? false
    this.unreached = options.unreached ?? false
    this.hint = options.hint
    this.retry = options.retry
  }
}

const MESSAGE_LENGTH = 300

/** One line of the provider's words, with every occurrence of the key taken out. */
export function providerWords(message: string, key: string | undefined): string {
  const open = key === undefined || key === '' ? message : message.replaceAll(key, '[key]')
  // Providers quote keys shortened ("sk-ab***cd"): what is left of one is taken out too.
  const words = open
    .replace(/\b(?:sk|hf|gsk|xai)[-_][\w*.-]{4,}/g, '[key]')
    .replace(/Bearer\s+\S+/gi, 'Bearer [key]')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal would obey them
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()
  return words.length > MESSAGE_LENGTH ? `${words.slice(0, MESSAGE_LENGTH)}…` : words
}

/** From `Retry-After` (seconds or a date), `retry-after-ms` or `x-ratelimit-reset-*`, as providers send them. */
export function retryAfterMs(headers: Headers, now: number): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN)
  if (ms >= 0) return ms
  const after = headers.get('retry-after')
  if (after !== null) {
    const seconds = Number(after)
    if (after.trim() !== '' && seconds >= 0) return seconds * 1000
    const date = Date.parse(after)
    if (!Number.isNaN(date)) return Math.max(0, date - now)
  }
  const resets = ['x-ratelimit-reset-requests', 'x-ratelimit-reset-tokens']
    .map((name) => durationMs(headers.get(name)))
    .filter((value) => value !== undefined)
  return resets.length === 0 ? undefined : Math.max(...resets)
}

/** `1m30s`, `6.5s`, `250ms`; a bare number may be a duration or a point in time, so it is not used. */
function durationMs(text: string | null): number | undefined {
  const match = /^(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?$/.exec(text ?? '')
  if (text === null || text === '' || match === null) return undefined
  const [, hours = '0', minutes = '0', seconds = '0', ms = '0'] = match
  return Number(hours) * 3_600_000 + Number(minutes) * 60_000 + Number(seconds) * 1000 + Number(ms)
}
