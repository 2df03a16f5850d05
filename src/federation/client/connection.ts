// Requests to a coordinator: signed, sized, tried again with growing pauses or when the coordinator says to. Every try has
// a signature of its own, so that none of them looks like a replay.
import { PretextError } from '../../errors.ts'
import type { Clock } from '../clock.ts'
import { sha256Hex, toBase64Url } from '../protocol/bytes.ts'
import { PROTOCOL } from '../protocol/manifest.ts'
import { type Problem, ProblemSchema } from '../protocol/messages.ts'
import {
  type AskedWith,
  authorization,
  BODY_HEADER,
  type SignedParts,
  signedBytes,
} from '../protocol/signing.ts'
import { namesVersion, otherVersion, PROTOCOL_HEADER } from '../protocol/version.ts'
import type { ClientIdentity } from './identity.ts'

export interface ConnectionOptions {
  /** Address of the coordinator. */
  readonly server: string
  readonly fetch: typeof fetch
  readonly clock: Clock
  /** How long to go on while nothing answers. */
  readonly patienceMs: number
  readonly onRetry?: (why: string, seconds: number) => void
  /** A number from 0 to 1 that spreads pauses out. */
  readonly jitter: () => number
  /** For people: who is asked. */
  readonly whom?: string
  /** Whether an answer to a signed request is from whom it should be; one that is not counts as none. */
  readonly genuine?: (answer: ReceivedAnswer, asked: AskedWith) => boolean
  readonly signal?: AbortSignal
}

export interface ReceivedAnswer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array
}

export interface Signer {
  readonly identity: Pick<ClientIdentity, 'client' | 'sign'>
  readonly task: string
}

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: Uint8Array
  readonly contentType?: string
  readonly signer?: Signer
  /** By the clock of this machine: no try begins after it. */
  readonly until?: number
}

/** A refusal that will not change by asking again. */
export interface Refused {
  readonly ok: false
  readonly problem: Problem
}

export interface Answered {
  readonly ok: true
  readonly bytes: Uint8Array
}

/** An answer that does not count, and why; `foreign` where it is of another version of the protocol. */
type NoAnswer =
  | { readonly again: string; readonly seconds?: number; readonly foreign?: PretextError }
  | { readonly again?: undefined; readonly foreign: PretextError }

const REQUEST_MS = 30_000
const LARGEST_ANSWER = 2 ** 30

export interface Connection {
  call(call: Call): Promise<Answered | Refused>
  /** Bytes by their sha256, checked. */
  blob(sha256: string): Promise<Uint8Array>
  /** The coordinator's clock minus this machine's, as far as known. */
  setClockOffset(ms: number): void
}

export function connect(options: ConnectionOptions): Connection {
  // Called bare: a browser's fetch refuses to be called as a method.
  const { clock, onRetry, signal, fetch: ask } = options
  const server = options.server.replace(/\/+$/, '')
  const whom = options.whom ?? 'the coordinator'
  let offset = 0

  const once = async (call: Call): Promise<Answered | Refused | NoAnswer> => {
    const { method, path, body, contentType, signer } = call
    const headers: Record<string, string> = {
      [PROTOCOL_HEADER]: PROTOCOL,
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
    }
    let asked: AskedWith | undefined
    if (signer !== undefined) {
      const { identity } = signer
      const parts: SignedParts = {
        task: signer.task,
        method,
        // Without the path of `server`: a proxy in front may take that away.
        path,
        body: body ?? new Uint8Array(),
        time: clock.now() + offset,
        nonce: toBase64Url(crypto.getRandomValues(new Uint8Array(16))),
      }
      const bodySha256 = sha256Hex(parts.body)
      const signed = signedBytes(parts, bodySha256)
      asked = { authorization: authorization(identity.client, parts, await identity.sign(signed)), signed }
      headers.authorization = asked.authorization
      headers[BODY_HEADER] = bodySha256
    }
    const cut = AbortSignal.timeout(REQUEST_MS)
    try {
      const response = await ask(`${server}${path}`, {
        method,
        headers,
        redirect: 'error',
        ...(body === undefined ? {} : { body: new Uint8Array(body) }),
        signal: signal === undefined ? cut : AbortSignal.any([signal, cut]),
      })
      const bytes = new Uint8Array(await response.arrayBuffer())
      const { status } = response
      const problem = response.ok ? undefined : problemIn(bytes)
      const spoken = response.headers.get(PROTOCOL_HEADER)
      const foreign =
        namesVersion(path) && spoken !== PROTOCOL && (response.ok || problem !== undefined || spoken !== null)
          ? otherVersion(whom, server, spoken)
          : undefined
      if (
        asked !== undefined &&
        options.genuine?.({ status, headers: response.headers, bytes }, asked) === false
      )
        return { again: 'its answer is not signed by it', ...(foreign === undefined ? {} : { foreign }) }
      if (foreign !== undefined) return { foreign }
      if (response.ok && bytes.length <= LARGEST_ANSWER) return { ok: true, bytes }
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
      // Without a problem of the protocol, a proxy answered instead of the coordinator.
      if (response.status >= 500 || problem === undefined)
        return { again: `it answered ${response.status}`, ...(seconds > 0 ? { seconds } : {}) }
      return { ok: false, problem }
    } catch (error) {
      signal?.throwIfAborted()
      return { again: reasonOf(error) }
    }
  }

  const call = async (wanted: Call): Promise<Answered | Refused> => {
    const began = clock.now()
    for (let attempt = 0; ; attempt++) {
      const answer = await once(wanted)
      if ('ok' in answer) return answer
      // Not by its signature: anybody could have sent it, so it is asked for again like any other.
      if (answer.again === undefined) throw answer.foreign
      const seconds = jittered(Math.min(answer.seconds ?? 2 ** attempt, 60), options.jitter())
      const next = clock.now() + seconds * 1000
      if (next > (wanted.until ?? Number.POSITIVE_INFINITY) || next - began > options.patienceMs) {
        if (answer.foreign !== undefined) throw answer.foreign
        throw new PretextError(`could not reach ${whom} at ${server}: ${answer.again}`, {
          code: 'federation',
          hint: 'check the address and the network; what was begun goes on when you join again',
        })
      }
      onRetry?.(answer.foreign?.message ?? answer.again, seconds)
      await clock.sleep(seconds * 1000, signal)
    }
  }

  return {
    call,
    async blob(sha256) {
      const answer = await call({ method: 'GET', path: `/v1/blobs/${sha256}` })
      if (!answer.ok) throw refusedError(answer.problem)
      if (sha256Hex(answer.bytes) !== sha256) {
        throw new PretextError(`expected bytes with sha256 ${sha256} from the coordinator, got others`, {
          code: 'federation',
          hint: 'something on the way changed them: use TLS, and clear caches in between',
        })
      }
      return answer.bytes
    },
    setClockOffset(ms) {
      offset = ms
    },
  }
}

export function refusedError(problem: Problem): PretextError {
  const detail = problem.detail === undefined ? '' : ` (${problem.detail})`
  return new PretextError(`the coordinator refused: ${problem.title}${detail}`, {
    code: 'federation',
    hint:
      problem.code === 'unsigned' || problem.code === 'unknown-token'
        ? 'enrol with a fresh token (--token); its operator makes them with "pretext serve CONFIG --mint 1"'
        : 'ask the operator of the coordinator',
  })
}

function problemIn(bytes: Uint8Array): Problem | undefined {
  try {
    const parsed = ProblemSchema.safeParse(JSON.parse(new TextDecoder().decode(bytes)))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

function reasonOf(error: unknown): string {
  const cause = (error as { cause?: { code?: unknown } }).cause?.code
  if (typeof cause === 'string') return cause
  return error instanceof Error && error.name === 'TimeoutError'
    ? 'no answer in time'
    : 'the connection failed'
}

/** Between half of a pause and all of it, so that clients do not march in step. Pauses grow 1, 2, 4, ... 60 seconds. */
export function jittered(seconds: number, jitter: number): number {
  return seconds * (0.5 + jitter / 2)
}

export function systemJitter(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] as number) / 2 ** 32
}
