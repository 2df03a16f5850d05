// A small federation for tests: a manifest, candidates, clients with keys, and requests signed by them.
import { createHash, randomBytes } from 'node:crypto'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import { matrix } from '../../src/embeddings/matrix.ts'
import { trustedAggregation } from '../../src/federation/aggregation/trusted.ts'
import type { Clock } from '../../src/federation/clock.ts'
import { collectRound, type RoundTerms } from '../../src/federation/coordinator/collect.ts'
import {
  type Coordinator,
  type CoordinatorOptions,
  createCoordinator,
} from '../../src/federation/coordinator/coordinator.ts'
import { sha256Hex, toBase64Url, utf8 } from '../../src/federation/protocol/bytes.ts'
import { encodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { embedderIdentityHash, type Manifest, PROTOCOL } from '../../src/federation/protocol/manifest.ts'
import {
  BODY_HEADER,
  type Identity,
  identityFrom,
  signRequest,
} from '../../src/federation/protocol/signing.ts'
import { PROTOCOL_HEADER } from '../../src/federation/protocol/version.ts'
import { encodeVote } from '../../src/federation/protocol/vote-bytes.ts'
import { voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import type { Store } from '../../src/federation/stores/store.ts'

export const embedder = createHashingEmbedder({ dim: 256 })
export const TASK = 'a'.repeat(32)

/** Of every request of the version that is spoken here. */
export const SPOKEN = { [PROTOCOL_HEADER]: PROTOCOL }

export const candidates = matrix(
  8,
  256,
  Float32Array.from({ length: 8 * 256 }, (_, i) => Math.sin(i * 12.9898) / 16),
)

export function exampleManifest(change: Partial<Manifest> = {}): Manifest {
  return {
    protocol: PROTOCOL,
    task: TASK,
    run: 'b'.repeat(32),
    round: 1,
    rounds: 2,
    attempt: 1,
    opened: 1_000_000,
    deadline: 2_000_000,
    embedder: { ...embedder.identity },
    embedderHash: embedderIdentityHash(embedder.identity),
    candidates: {
      sha256: sha256Hex(encodeCandidates(candidates, 'int8')),
      count: 8,
      dim: 256,
      encoding: 'int8',
    },
    labels: null,
    texts: { minWords: 1, maxWords: 100 },
    vote: voteTermsOf({ mode: 'normalised', maxTextsPerClient: 4, neighbours: 1 }, 'l2'),
    noise: { noiseMultiplier: 2, unit: 'client', adjacency: 'add-remove', delta: 1e-5 },
    cohort: { minimum: 2, target: null, seats: null },
    aggregation: { mode: 'trusted' },
    ...change,
  }
}

export function exampleTerms(change: Partial<RoundTerms> = {}): RoundTerms {
  const { labels, texts, vote, noise, cohort } = exampleManifest()
  return {
    run: 'run-1',
    round: 1,
    rounds: 2,
    candidates,
    embedder: embedder.identity,
    labels,
    texts,
    vote,
    noise,
    cohort,
    encoding: 'int8',
    openSeconds: 60,
    attempts: 1,
    ...change,
  }
}

export async function exampleCoordinator(
  store: Store,
  change: Partial<CoordinatorOptions> = {},
): Promise<Coordinator> {
  return createCoordinator({
    store,
    aggregation: trustedAggregation,
    name: 'example',
    privacy: {
      epsilon: 4,
      delta: 1e-5,
      unit: 'client',
      adjacency: 'add-remove',
      rounds: 2,
      minimumCohort: 2,
    },
    labels: null,
    pollSeconds: 30,
    publicCohort: false,
    ...change,
  })
}

/** A clock that stands still until it is told, and on which nobody waits in vain. */
export function manualClock(start = 1_000_000): Clock & { advance(ms: number): void } {
  let now = start
  const sleepers: { readonly until: number; readonly wake: () => void }[] = []
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        sleepers.push({ until: now + ms, wake: resolve })
      }),
    advance(ms) {
      now += ms
      const due = sleepers.filter(({ until }) => until <= now)
      for (const sleeper of due) sleepers.splice(sleepers.indexOf(sleeper), 1)
      for (const { wake } of due) wake()
    },
  }
}

/** An identity that is the same for the same number. */
export function client(n: number): Identity {
  return identityFrom(createHash('sha256').update(`client ${n}`).digest())
}

/** Puts clients into the store as if they had enrolled. */
export async function enrolAll(store: Store, count: number): Promise<Identity[]> {
  const identities = Array.from({ length: count }, (_, n) => client(n))
  for (const [n, { client: name, publicKey }] of identities.entries()) {
    await store.addTokens([`token-${n}`], 0)
    await store.enrol({ tokenHash: `token-${n}`, client: name, publicKey, at: 0 })
  }
  return identities
}

/** One vote of one grid step for a candidate. */
export function voteFor(candidate: number, steps = 1n, salt = new Uint8Array(16)): Uint8Array {
  return encodeVote({ indices: [candidate], steps: [steps] }, salt)
}

export interface SignedChange {
  readonly task?: string
  readonly time?: number
  readonly nonce?: string
  readonly signedBody?: Uint8Array
  readonly signedPath?: string
  readonly signedMethod?: string
}

export function signedRequest(
  identity: Identity,
  method: 'POST' | 'PUT',
  path: string,
  body: Uint8Array,
  task: string,
  time: number,
  change: SignedChange = {},
): Request {
  const authorization = signRequest(identity, {
    task: change.task ?? task,
    method: change.signedMethod ?? method,
    path: change.signedPath ?? path,
    body: change.signedBody ?? body,
    time: change.time ?? time,
    nonce: change.nonce ?? toBase64Url(randomBytes(16)),
  })
  const type = method === 'PUT' ? 'application/octet-stream' : 'application/json'
  return new Request(`http://coordinator.test${path}`, {
    method,
    body: new Uint8Array(body),
    headers: {
      ...SPOKEN,
      authorization,
      [BODY_HEADER]: sha256Hex(change.signedBody ?? body),
      'content-type': type,
    },
  })
}

export function enrolmentBody(token: string, identity: Identity): Uint8Array {
  return utf8(JSON.stringify({ token, publicKey: toBase64Url(identity.publicKey) }))
}

/** Opens a round and gives its name; the promise ends when the round is closed. */
export async function openedRound(coordinator: Coordinator, terms: RoundTerms, signal?: AbortSignal) {
  const closed = collectRound(coordinator, terms, signal)
  closed.catch(() => {})
  for (;;) {
    const round = (await coordinator.store.rounds(terms.run)).find(
      ({ number, state }) => number === terms.round && state === 'open',
    )
    if (round !== undefined) return { hash: round.manifest, closed }
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
