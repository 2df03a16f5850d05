// The client: it votes as a simulated client does, refuses what its owner did not agree to, never sends two different
// votes for a round, and nothing of a text leaves it.
import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Hono } from 'hono'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { type ClientEvent, createFederatedClient } from '../../src/federation/client/client.ts'
import type { OwnTexts } from '../../src/federation/client/own-vote.ts'
import type { ClientPolicy } from '../../src/federation/client/policy.ts'
import type { ClientLedger, ClientStorage } from '../../src/federation/client/state.ts'
import { openStateFolder } from '../../src/federation/client/state-folder.ts'
import { coordinatorApp } from '../../src/federation/coordinator/app.ts'
import type { RoundTerms } from '../../src/federation/coordinator/collect.ts'
import type { Coordinator } from '../../src/federation/coordinator/coordinator.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { decodeCandidates, encodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { voteOptionsOf, voteTermsOf } from '../../src/federation/protocol/vote-terms.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import type { Store } from '../../src/federation/stores/store.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { embedClients } from '../../src/histogram/clients.ts'
import { createNeighbours } from '../../src/histogram/create-neighbours.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import type { MechanismEvent } from '../../src/privacy/events.ts'
import { readTexts } from '../../src/texts/read.ts'
import { CANARY, sentence } from '../run/workspace.ts'
import {
  candidates,
  embedder,
  exampleCoordinator,
  exampleManifest,
  exampleTerms,
  manualClock,
  openedRound,
  SPOKEN,
} from './example.ts'
import { writeJsonl } from './jsonl.ts'

let folder: string
let store: Store
let clock: ReturnType<typeof manualClock>
let coordinator: Coordinator
let app: Hono
/** Every byte that a client sent: address, headers, body. */
let sent: string[]
let puts: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'client-'))
  store = await sqlStore(await embeddedDatabase(join(folder, 'store.db')))
  clock = manualClock()
  coordinator = await exampleCoordinator(store, { clock })
  app = coordinatorApp(coordinator)
  sent = []
  puts = []
})
afterEach(() => store.close())

const network: typeof fetch = async (input, init) => {
  const request = new Request(input, init)
  const body = Buffer.from(await request.clone().arrayBuffer()).toString('latin1')
  sent.push(`${request.method} ${request.url} ${JSON.stringify([...request.headers])} ${body}`)
  if (request.method === 'PUT') puts.push(body)
  return app.fetch(request)
}

const POLICY: ClientPolicy = {
  epsilon: 10,
  delta: 1e-5,
  adjacency: 'add-remove',
  minimumCohort: 2,
  aggregation: ['trusted'],
}

interface Memory {
  readonly storage: ClientStorage
  readonly ledger: ClientLedger
  readonly charges: MechanismEvent[]
  /** Fails at the n-th change from here on, before it is made. */
  failAt: number
}

function memory(): Memory {
  const values = new Map<string, string>()
  const names = new Set<string>()
  const state: Memory = {
    failAt: Number.POSITIVE_INFINITY,
    charges: [],
    storage: {
      get: async (name) => values.get(name),
      async set(name, value) {
        step()
        values.set(name, value)
      },
    },
    ledger: {
      charged: async () => state.charges,
      has: async (task, release) => names.has(`${task} ${release}`),
      async charge(task, release, mechanism) {
        step()
        if (!names.has(`${task} ${release}`)) state.charges.push(mechanism)
        names.add(`${task} ${release}`)
      },
    },
  }
  const step = () => {
    if (--state.failAt <= 0) throw new Error('the process died here')
  }
  return state
}

const own = (n: number, count = 3): OwnTexts => ({
  texts: Array.from({ length: count }, (_, i) => sentence(1000 + n * 10 + i, `${CANARY}${n}`)),
})

const clientWith = (state: Memory, change: { policy?: Partial<ClientPolicy>; fetch?: typeof fetch } = {}) =>
  createFederatedClient({
    server: 'http://coordinator.test/',
    policy: { ...POLICY, ...change.policy },
    embedder,
    storage: state.storage,
    ledger: state.ledger,
    clock,
    fetch: change.fetch ?? network,
  })

async function enrolled(state: Memory, change: Parameters<typeof clientWith>[1] = {}) {
  const [token = ''] = await mintTokens(store, 1, 0)
  const client = clientWith(state, change)
  await client.enrol(token)
  // Past the time for which the coordinator remembers that no round was open.
  clock.advance(300)
  return client
}

async function events(generator: AsyncGenerator<ClientEvent>): Promise<ClientEvent[]> {
  const found: ClientEvent[] = []
  for await (const event of generator) found.push(event)
  return found
}

const types = (found: readonly ClientEvent[]) => found.map(({ type }) => type)
const opened = (terms: Partial<RoundTerms> = {}) => openedRound(coordinator, exampleTerms(terms))

describe('the exact sum', () => {
  it.each([
    ['normalised', {}],
    ['multihot', { maxCandidates: 2 }],
    ['counts', {}],
  ] as const)('of real clients is the simulator’s on the same texts: %s', async (mode, more) => {
    const vote = voteTermsOf({ mode, maxTextsPerClient: 5, neighbours: 2, ...more }, 'l2')
    const { closed } = await opened({ vote })
    const clients = 5
    for (let n = 0; n < clients; n++) {
      const client = await enrolled(memory())
      expect(types(await events(client.participate(own(n), { rounds: 1 })))).toEqual([
        'task',
        'round',
        'voted',
        'finished',
      ])
    }
    clock.advance(60_000)
    const federated = exactSums(await sumVotes(await closed))

    const rows = Array.from({ length: clients }, (_, n) =>
      own(n).texts.map((text) => ({ client: `${n}`, text })),
    ).flat()
    const { texts } = await readTexts({
      path: await writeJsonl(folder, 'all.jsonl', rows),
      columns: { text: 'text', client: 'client' },
      unit: 'client',
      kind: 'private',
    })
    const options = voteOptionsOf({ ...exampleManifest(), vote })
    const shape = { count: candidates.rows, dim: candidates.dim, encoding: 'int8' } as const
    const asSent = decodeCandidates(encodeCandidates(candidates, 'int8'), shape)
    const neighbours = await createNeighbours(asSent, { distance: 'l2', backend: 'exact', seed: 0 })
    const local = await embedClients(texts, embedder, { maxTextsPerClient: 5, onEvent: () => {} })
    const indexes = new Map([[0, { neighbours, positions: Array.from({ length: 8 }, (_, i) => i) }]])
    const simulated = exactSums(await local.countVotes(indexes, 8, options, voteBound(options)))
    expect(federated).toEqual(simulated)
    expect(federated.some((sum) => sum > 0n)).toBe(true)
  })

  it('with labels counts texts among the candidates of their own label', async () => {
    const labels = { names: ['even', 'odd'], of: [0, 1, 0, 1, 0, 1, 0, 1] }
    const { closed } = await opened({
      labels,
      vote: voteTermsOf({ mode: 'counts', maxTextsPerClient: 9, neighbours: 1 }, 'l2'),
    })
    for (const [n, label] of ['even', 'odd', 'odd'].entries()) {
      const client = await enrolled(memory())
      await events(client.participate({ ...own(n), labels: [label, label, 'unknown'] }, { rounds: 1 }))
    }
    clock.advance(60_000)
    const sums = [...exactSums(await sumVotes(await closed))]
    const of = (label: number) => sums.filter((_, i) => i % 2 === label).reduce((a, b) => a + b, 0n)
    expect([of(0), of(1)]).toEqual([2n * 65_536n, 4n * 65_536n])
  })
})

describe('its policy', () => {
  const refusal = async (policy: Partial<ClientPolicy>, terms: Partial<RoundTerms> = {}) => {
    await opened(terms)
    const state = memory()
    const client = await enrolled(state, { policy })
    const found = await events(client.participate(own(1)))
    const last = found.at(-1)
    expect(last?.type).toBe('refused')
    expect(puts).toEqual([])
    expect(state.charges).toEqual([])
    return last?.type === 'refused' ? last.reasons : []
  }
  const noise = exampleManifest().noise

  it.each<[string, Partial<ClientPolicy>, Partial<RoundTerms>, RegExp]>([
    [
      'epsilon',
      { epsilon: 1 },
      {},
      /^with it your texts would have spent epsilon 1\.99\d+ at delta 0\.00001; you allow 1 \(spent so far: 0\.0000\)$/,
    ],
    [
      'delta',
      { delta: 1e-6 },
      {},
      /^its guarantee is stated at delta 0\.00001; you allow 0\.000001 at most$/,
    ],
    ['minimum cohort', { minimumCohort: 3 }, {}, /^its minimum cohort is 2; you asked for at least 3$/],
    [
      'adjacency',
      {},
      { noise: { ...noise, adjacency: 'substitution' } },
      /^its guarantee is under substitution/,
    ],
    ['aggregation', { aggregation: [] }, {}, /^its aggregation is trusted; you agreed to $/],
    [
      'embedder',
      {},
      { embedder: { ...embedder.identity, sha256: 'other' } },
      /^it asks for the embedder hashing \(fp32/,
    ],
    [
      'bound',
      {},
      { vote: { ...exampleManifest().vote, boundSquared: '99999999999' } },
      /^its bound is not the one/,
    ],
  ])('refuses a round beyond its %s, sends nothing and spends nothing', async (_, policy, terms, reason) => {
    const reasons = await refusal(policy, terms)
    expect(reasons).toHaveLength(1)
    expect(reasons[0]).toMatch(reason)
  })

  const BOTH = ['trusted', 'two-server'] as const
  const gone = 'the coordinator would see your vote; '
  /** A coordinator that says of itself that nobody sees a vote. */
  const pretender: typeof fetch = async (input, init) => {
    const answer = await network(input, init)
    if (!new Request(input, init).url.endsWith('/v1/task')) return answer
    const identity = `ptx1_${'A'.repeat(91)}`
    const aggregation = {
      mode: 'two-server',
      leader: identity,
      helper: identity,
      multiproof: false,
      noise: 'full',
    }
    return Response.json({ ...((await answer.json()) as object), aggregation }, { headers: SPOKEN })
  }

  it.each([
    ['was named', { helper: 'ptx1_named' }, false, network, `${gone}you named a second server`],
    [
      'was there in earlier rounds',
      {},
      true,
      network,
      `${gone}earlier rounds of this task had a second server`,
    ],
    [
      'the task was shown with',
      {},
      false,
      pretender,
      `${gone}the task was shown to you as one of two servers`,
    ],
  ])('keeps to the second server that %s: no trusted round', async (_, change, pinned, fetch, reason) => {
    await opened()
    const state = memory()
    const policy = { aggregation: BOTH, ...change }
    const client = await enrolled(state, { policy, fetch })
    if (pinned) await state.storage.set(`helper-${coordinator.task}`, 'ptx1_earlier')
    const last = (await events(client.participate(own(1)))).at(-1)
    expect(last).toMatchObject({ type: 'refused', reasons: [reason] })
    expect(puts).toEqual([])
    expect(state.charges).toEqual([])
  })

  it('who agrees to a trusted coordinator alone may go on with one', async () => {
    await opened()
    const state = memory()
    const client = await enrolled(state)
    await state.storage.set(`helper-${coordinator.task}`, 'ptx1_earlier')
    expect(types(await events(client.participate(own(1), { rounds: 1 })))).toContain('voted')
  })

  it('holds for a vote that was kept and not sent yet', async () => {
    await opened()
    const state = memory()
    const silent: typeof fetch = async (input, init) => {
      if (init?.method === 'PUT') throw new Error('the process died here')
      return network(input, init)
    }
    const stop = new AbortController()
    const first = createFederatedClient({
      server: 'http://coordinator.test/',
      policy: POLICY,
      embedder,
      ...state,
      clock,
      fetch: silent,
      signal: stop.signal,
      onRetry: () => stop.abort(),
    })
    await first.enrol((await mintTokens(store, 1, 0))[0] as string)
    clock.advance(300)
    await expect(events(first.participate(own(1)))).rejects.toThrow()
    expect(state.charges).toHaveLength(1)
    const stricter = clientWith(state, { policy: { aggregation: ['two-server'] } })
    expect((await events(stricter.participate(own(1)))).at(-1)).toMatchObject({
      type: 'refused',
      reasons: ['its aggregation is trusted; you agreed to two-server'],
    })
    expect(puts).toEqual([])
    await events(clientWith(state).participate(own(1), { rounds: 1 }))
    expect(puts).toHaveLength(1)
    expect(state.charges).toHaveLength(1)
  })

  it('counts what was spent before, over all rounds', async () => {
    const state = memory()
    const client = await enrolled(state, { policy: { epsilon: 3.3 } })
    const seen: string[] = []
    for (let round = 1; round <= 3; round++) {
      const { closed } = await opened({ round, rounds: 9 })
      const found = await events(client.participate(own(1), { rounds: 1 }))
      seen.push(found.at(-1)?.type as string)
      clock.advance(60_000)
      await closed.catch(() => {})
    }
    expect(seen).toEqual(['finished', 'finished', 'refused'])
    expect(state.charges).toHaveLength(2)
  })

  it('is not charged twice for attempts at one round', async () => {
    const state = memory()
    const client = await enrolled(state)
    await opened({ attempts: 2 })
    await events(client.participate(own(1), { rounds: 1 }))
    clock.advance(60_000)
    await expect.poll(async () => (await store.rounds('run-1')).length).toBe(2)
    clock.advance(250)
    await events(client.participate(own(1), { rounds: 1 }))
    expect(puts).toHaveLength(2)
    expect(state.charges).toHaveLength(1)
  })
})

describe('faults', () => {
  it('dies at every change of its state, comes back, and never sends two different votes', async () => {
    const { hash } = await opened({
      vote: voteTermsOf({ mode: 'normalised', maxTextsPerClient: 2, neighbours: 1 }, 'l2'),
    })
    for (let failAt = 1; failAt <= 5; failAt++) {
      puts = []
      const state = memory()
      await enrolled(state)
      state.failAt = failAt
      const first = await events(clientWith(state).participate(own(failAt, 8), { rounds: 1 })).catch(String)
      state.failAt = Number.POSITIVE_INFINITY
      // Another process: it chooses among its 8 texts anew, unless a vote was kept.
      const second = await events(clientWith(state).participate(own(failAt, 8), { rounds: 1 }))
      expect(second.at(-1)?.type).toBe('finished')
      if (failAt <= 3) expect(first).toMatch(/the process died here/)
      expect(new Set(puts).size).toBe(1)
      expect(state.charges).toHaveLength(1)
    }
    expect(await store.voters(hash)).toBe(5)
  })

  it('an answer that is lost is asked for again, with the same bytes and another signature', async () => {
    const { hash } = await opened()
    let lost = 0
    const state = memory()
    const client = await enrolled(state, {
      fetch: async (input, init) => {
        const answer = await network(input, init)
        if (init?.method === 'PUT' && lost++ < 3) throw new TypeError('fetch failed')
        return answer
      },
    })
    const found = events(client.participate(own(1), { rounds: 1 }))
    while (puts.length < 4) {
      clock.advance(1000)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(types(await found)).toEqual(['task', 'round', 'voted', 'finished'])
    expect(new Set(puts).size).toBe(1)
    expect(
      new Set(sent.filter((line) => line.startsWith('PUT')).map((line) => /nonce=([\w-]+)/.exec(line)?.[1]))
        .size,
    ).toBe(4)
    expect(await store.voters(hash)).toBe(1)
  })

  it('a clock that is hours off does not keep a client out', async () => {
    await opened()
    const state = memory()
    const wrong = { now: () => clock.now() + 7_200_000, sleep: clock.sleep }
    const [token = ''] = await mintTokens(store, 1, 0)
    const client = createFederatedClient({
      server: 'http://coordinator.test',
      policy: POLICY,
      embedder,
      storage: state.storage,
      ledger: state.ledger,
      clock: wrong,
      fetch: network,
    })
    await client.enrol(token)
    expect(types(await events(client.participate(own(1), { rounds: 1 })))).toContain('voted')
  })

  it('bytes that were changed on the way are refused', async () => {
    await opened()
    const state = memory()
    const client = await enrolled(state, {
      fetch: async (input, init) => {
        const answer = await network(input, init)
        if (!String(input).includes('/v1/blobs/')) return answer
        const bytes = new Uint8Array(await answer.arrayBuffer())
        bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
        return new Response(bytes)
      },
    })
    await expect(events(client.participate(own(1)))).rejects.toThrow(
      /^expected bytes with sha256 [0-9a-f]{64} from/,
    )
    expect(puts).toEqual([])
  })

  it('another program at the address is an error that says so', async () => {
    const at = (headers: Record<string, string>) =>
      clientWith(memory(), { fetch: async () => new Response('<html>hello</html>', { headers }) }).task()
    await expect(at({})).rejects.toThrow(
      'names no version, as pretext-federation/1 and other programs do; this pretext speaks pretext-federation/2',
    )
    await expect(at(SPOKEN)).rejects.toThrow(
      'expected an answer of the federation protocol, got something else',
    )
  })

  it('without a usable text, nothing is sent or spent', async () => {
    await opened()
    const state = memory()
    const client = await enrolled(state)
    await expect(events(client.participate({ texts: [' ', ''] }))).rejects.toThrow(
      /^expected at least one text of 1 words/,
    )
    expect(state.charges).toEqual([])
    expect(puts).toEqual([])
  })
})

it('nothing of a text leaves: no canary, no embedding, in any byte of the wire or of the store (property 21)', async () => {
  const { closed } = await opened()
  for (let n = 0; n < 3; n++) await events((await enrolled(memory())).participate(own(n), { rounds: 1 }))
  clock.advance(60_000)
  await closed
  const { readFile } = await import('node:fs/promises')
  const stored = await Promise.all(
    ['', '-wal'].map((end) => readFile(join(folder, `store.db${end}`), 'latin1')),
  )
  const everything = [...sent, ...stored].join('\n').toLowerCase()
  for (let n = 0; n < 3; n++) {
    for (const text of own(n).texts) {
      for (const word of [text, text.split(' ').slice(1, 4).join(' '), `${CANARY}${n}`, CANARY]) {
        for (const form of [
          word,
          Buffer.from(word).toString('base64').slice(0, -4),
          Buffer.from(word).toString('hex'),
        ])
          expect(everything.includes(form.toLowerCase())).toBe(false)
      }
      const { values } = await embedder.embed([text])
      const bytes = Buffer.from(values.buffer).toString('latin1').toLowerCase()
      for (let at = 0; at + 16 <= bytes.length; at += 16) {
        const part = bytes.slice(at, at + 16)
        if (!/^\0+$/.test(part)) expect(everything.includes(part)).toBe(false)
      }
    }
  }
  expect(puts).toHaveLength(3)
  for (const body of puts) expect(body.length).toBeLessThan(40)
})

describe('the state folder', () => {
  it('is for its owner alone, keeps what was set, and is for one process at a time', async () => {
    const path = join(folder, 'state')
    const state = await openStateFolder(path, POLICY)
    await state.storage.set('vote-ab', 'kept')
    await state.ledger.charge('t', 'r/round-1', { type: 'gaussian', noiseMultiplier: 2 })
    await state.ledger.charge('t', 'r/round-1', { type: 'gaussian', noiseMultiplier: 2 })
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    for (const file of ['vote-ab.json', 'ledger.jsonl'])
      expect((await stat(join(path, file))).mode & 0o777).toBe(0o600)
    await expect(openStateFolder(path, POLICY, { lockWaitMs: 1 })).rejects.toMatchObject({ code: 'locked' })
    await state.release()
    const again = await openStateFolder(path, POLICY)
    expect(await again.storage.get('vote-ab')).toBe('kept')
    expect(await again.storage.get('vote-cd')).toBeUndefined()
    expect(await again.ledger.charged()).toHaveLength(1)
    expect(await again.ledger.has('t', 'r/round-1')).toBe(true)
    await again.release()
  })

  it('its ledger refuses what the policy does not allow, whoever asks', async () => {
    const state = await openStateFolder(join(folder, 'state'), { ...POLICY, epsilon: 1 })
    await expect(
      state.ledger.charge('t', 'r', { type: 'gaussian', noiseMultiplier: 1 }),
    ).rejects.toMatchObject({ code: 'budget' })
    await state.release()
  })
})
