// The leader's line to the helper: requests that the leader signs, answers that count only if the helper signed them for this
// very request. Everything is a PUT that may be sent again.
import { ed25519 } from '@noble/curves/ed25519.js'
import { PretextError } from '../../errors.ts'
import { connect, type ReceivedAnswer, systemJitter } from '../client/connection.ts'
import { type Clock, systemClock } from '../clock.ts'
import {
  type AggregatorIdentity,
  type SealingKeys,
  SealingKeysSchema,
  sealingKey,
} from '../protocol/aggregator.ts'
import { fromBase64Url, fromUtf8, utf8 } from '../protocol/bytes.ts'
import type { Problem } from '../protocol/messages.ts'
import { type AskedWith, answerBytes, helperName, SIGNATURE_HEADER } from '../protocol/signing.ts'
import type { KeyRing } from '../verification/aggregator-keys.ts'

export interface HelperConnectionOptions {
  readonly url: string
  readonly identity: AggregatorIdentity
  readonly keys: KeyRing
  readonly fetch?: typeof fetch
  readonly clock?: Clock
  readonly patienceMs?: number
  readonly onRetry?: (why: string, seconds: number) => void
  readonly signal?: AbortSignal
}

export interface HelperConnection {
  /** The helper's sealing keys, checked against its identity. */
  sealingKeys(): Promise<SealingKeys>
  /** Shows the helper a round; throws PretextError where it does not agree to its terms. */
  announce(hash: string, document: Uint8Array): Promise<void>
  job(hash: string, number: number, body: Uint8Array): Promise<Uint8Array>
  /** The helper's share of the sum, with its noise. */
  release(hash: string, sums: { readonly count: number; readonly checksum: string }): Promise<Uint8Array>
  /** Tells the helper to forget a round. */
  refuse(hash: string): Promise<void>
}

const PATIENCE_MS = 600_000
const JSON_TYPE = 'application/json'
const BYTES_TYPE = 'application/octet-stream'

export function helperConnection(options: HelperConnectionOptions): HelperConnection {
  const { identity, keys } = options
  const clock = options.clock ?? systemClock
  const connection = connect({
    server: options.url,
    whom: 'the helper',
    fetch: options.fetch ?? fetch,
    clock,
    jitter: systemJitter,
    patienceMs: options.patienceMs ?? PATIENCE_MS,
    genuine: (answer, asked) => signedByHelper(identity, answer, asked),
    ...(options.onRetry === undefined ? {} : { onRetry: options.onRetry }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  const put = async (path: string, body: Uint8Array, contentType: string): Promise<Uint8Array> => {
    const own = await keys.current()
    const signer = {
      task: helperName(identity.text),
      identity: { client: own.client, sign: async (bytes: Uint8Array) => own.sign(bytes) },
    }
    const answer = await connection.call({ method: 'PUT', path, body, contentType, signer })
    if (!answer.ok) throw refusedByHelper(answer.problem)
    return answer.bytes
  }
  let newest = 0
  return {
    async sealingKeys() {
      // Clients wait for this: one try, and the next of them tries again.
      const answer = await connection.call({ method: 'GET', path: '/v1/keys', until: clock.now() })
      if (!answer.ok) throw refusedByHelper(answer.problem)
      const parsed = SealingKeysSchema.safeParse(JSON.parse(fromUtf8(answer.bytes)))
      if (!parsed.success) throw new RangeError('expected the keys of a helper')
      newest = sealingKey(parsed.data, identity, clock.now(), newest).created
      return parsed.data
    },
    async announce(hash, document) {
      await put(`/v1/rounds/${hash}`, document, JSON_TYPE)
    },
    job: (hash, number, body) => put(`/v1/rounds/${hash}/jobs/${number}`, body, BYTES_TYPE),
    release: (hash, sums) => put(`/v1/rounds/${hash}/release`, utf8(JSON.stringify(sums)), JSON_TYPE),
    async refuse(hash) {
      await put(`/v1/rounds/${hash}/refused`, utf8('{}'), JSON_TYPE)
    },
  }
}

function signedByHelper(
  { signing }: AggregatorIdentity,
  { status, headers, bytes }: ReceivedAnswer,
  asked: AskedWith,
): boolean {
  const signature = fromBase64Url(headers.get(SIGNATURE_HEADER) ?? '')
  if (signature?.length !== 64) return false
  try {
    return ed25519.verify(signature, answerBytes(asked, status, bytes), signing)
  } catch {
    return false
  }
}

function refusedByHelper({ code, title, detail }: Problem): PretextError {
  const why = `the helper refused: ${title}${detail === undefined ? '' : ` (${detail})`}`
  if (code === 'no-budget') {
    return new PretextError(why, {
      code: 'budget',
      hint: 'nothing was released; the helper’s operator may raise privacy.budget in the helper’s config',
    })
  }
  return new PretextError(why, {
    code: 'federation',
    hint:
      code === 'unsigned'
        ? 'the helper’s config must name this coordinator’s identity in federation.leader.identity ("pretext serve CONFIG --identity")'
        : 'nothing was released; both operators need configs that agree',
  })
}
