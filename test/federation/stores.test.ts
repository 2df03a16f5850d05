// One contract for both databases: what a coordinator must not forget, and what must not be counted twice.
import { mkdtemp, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { LATEST_MIGRATION } from '../../src/federation/stores/migrations.ts'
import { postgresDatabase } from '../../src/federation/stores/postgres.ts'
import type { SqlDatabase } from '../../src/federation/stores/sql-database.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import type { Store, UploadedVote } from '../../src/federation/stores/store.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

const server: PostgresServer | undefined = await startPostgres()
afterAll(() => server?.stop())

interface Backend {
  /** A database of its own: every call of `open` is another process to it. */
  fresh(): Promise<{ open(): Promise<SqlDatabase> }>
}

let databases = 0
const embedded: Backend = {
  async fresh() {
    const file = join(await mkdtemp(join(tmpdir(), 'store-')), 'state', 'store.db')
    return { open: () => embeddedDatabase(file) }
  },
}
const postgres: Backend = {
  async fresh() {
    const { url } = server as PostgresServer
    const name = `store_${++databases}`
    const admin = new pg.Client(url)
    await admin.connect()
    await admin.query(`CREATE DATABASE ${name}`)
    await admin.end()
    return { open: () => postgresDatabase(url.replace(/\/postgres$/, `/${name}`), 4) }
  },
}

const hex = (n: number, length = 64) => n.toString(16).padStart(length, '0')
const round = (change = {}) => ({
  manifest: hex(1),
  run: 'run',
  number: 1,
  attempt: 1,
  opened: 100,
  deadline: 1000,
  seats: null,
  ...change,
})
let nonces = 0
const vote = (client: number, body: string, change: Partial<UploadedVote> = {}): UploadedVote => ({
  manifest: hex(1),
  client: hex(client),
  nonce: `nonce-${++nonces}`,
  body: new TextEncoder().encode(body),
  sha256: `sha-of-${body}`,
  received: 500,
  ...change,
})
const bodies = async (store: Store, manifest = hex(1)) => {
  const found: string[] = []
  for await (const body of store.votes(manifest)) found.push(new TextDecoder().decode(body))
  return found
}

describe.each([
  ['embedded', embedded, true],
  ['postgres', postgres, server !== undefined],
] as const)('store: %s', (kind, backend, there) => {
  const test = it.skipIf(!there)
  let database: Awaited<ReturnType<Backend['fresh']>>
  let store: Store
  beforeAll(async () => {
    if (!there) return
    database = await backend.fresh()
    store = await sqlStore(await database.open())
  })
  afterAll(() => store?.close())
  const empty = async () => sqlStore(await (await backend.fresh()).open())

  test('has one task for ever, whoever asks first', async () => {
    expect(store.kind).toBe(kind)
    const task = await store.task()
    expect(task).toMatch(/^[0-9a-f]{32}$/)
    const other = await sqlStore(await database.open())
    expect(await other.task()).toBe(task)
    await other.close()
  })

  test('migrates once, also when several processes start at once, and refuses a newer database', async () => {
    const fresh = await backend.fresh()
    const stores = await Promise.all(Array.from({ length: 3 }, async () => sqlStore(await fresh.open())))
    expect(new Set(await Promise.all(stores.map((s) => s.task()))).size).toBe(1)
    for (const s of stores) await s.close()
    const raw = await fresh.open()
    await raw.write([{ sql: `INSERT INTO migrations VALUES (${LATEST_MIGRATION + 1})` }])
    await expect(sqlStore(raw)).rejects.toThrow(
      `expected a store of version ${LATEST_MIGRATION} at most, got version ${LATEST_MIGRATION + 1}`,
    )
    await raw.close()
  })

  test('a token enrols one key, and the same key again', async () => {
    const key = new Uint8Array(32).fill(3)
    const entry = { tokenHash: 'hash-1', client: hex(1), publicKey: key, at: 5 }
    expect(await store.enrol(entry)).toBe('unknown-token')
    await store.addTokens(['hash-1'], 1)
    expect(await store.enrol(entry)).toBe('enrolled')
    expect(await store.enrol(entry)).toBe('enrolled')
    expect(await store.enrol({ ...entry, client: hex(2) })).toBe('unknown-token')
    expect(await store.publicKeys([hex(2), hex(1)])).toEqual(new Map([[hex(1), key]]))
  })

  test('of 50 enrolments with one token at once, one key gets in', async () => {
    await store.addTokens(['raced'], 1)
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        store.enrol({ tokenHash: 'raced', client: hex(1000 + i), publicKey: new Uint8Array(32), at: 1 }),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'enrolled')).toHaveLength(1)
  })

  test('keeps blobs as they are', async () => {
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => i % 251)
    await store.putBlob(hex(5), bytes)
    await store.putBlob(hex(5), new Uint8Array([1]))
    expect(await store.blob(hex(5))).toEqual(bytes)
    expect(await store.blob(hex(6))).toBeUndefined()
  })

  test('a round is opened once for its run, number and attempt', async () => {
    const s = await empty()
    const first = await s.openRound(round())
    expect(first).toEqual({ ...round(), state: 'open', release: null })
    expect(await s.openRound(round({ manifest: hex(2), deadline: 2000 }))).toEqual(first)
    expect((await s.openRound(round({ manifest: hex(2), attempt: 2 }))).manifest).toBe(hex(2))
    expect((await s.rounds('run')).map(({ attempt }) => attempt)).toEqual([1, 2])
    expect(await s.rounds('other')).toEqual([])
    expect(await s.round(hex(9))).toBeUndefined()
    await s.close()
  })

  test('counts one vote for each client: same bytes again, other bytes refused, replays refused', async () => {
    const s = await empty()
    await s.openRound(round())
    const mine = vote(1, 'a')
    expect(await s.castVotes([mine])).toEqual([{ type: 'counted', sha256: 'sha-of-a', received: 500 }])
    expect(await s.castVotes([vote(1, 'a', { received: 600 })])).toEqual([
      { type: 'again', sha256: 'sha-of-a', received: 500 },
    ])
    expect(await s.castVotes([vote(1, 'b')])).toEqual([{ type: 'other-vote' }])
    expect(await s.castVotes([mine])).toEqual([{ type: 'replayed' }])
    expect(await s.castVotes([vote(2, 'c', { received: 1000 })])).toEqual([{ type: 'round-closed' }])
    expect(await s.castVotes([vote(2, 'c', { manifest: hex(3) })])).toEqual([{ type: 'round-closed' }])
    expect(await bodies(s)).toEqual(['a'])
    expect(await s.voters(hex(1))).toBe(1)
    await s.close()
  })

  test('a replayed request is not counted even where the first one was not', async () => {
    const s = await empty()
    await s.openRound(round())
    const late = vote(1, 'a', { received: 1001 })
    expect(await s.castVotes([late])).toEqual([{ type: 'round-closed' }])
    expect(await s.castVotes([{ ...late, received: 999 }])).toEqual([{ type: 'replayed' }])
    expect(await s.voters(hex(1))).toBe(0)
    await s.close()
  })

  test('within one group too: of 5 votes of one client the first counts', async () => {
    const s = await empty()
    await s.openRound(round())
    const outcomes = await s.castVotes(['x', 'x', 'y', 'x', 'y'].map((body) => vote(1, body)))
    expect(outcomes.map(({ type }) => type)).toEqual([
      'counted',
      'again',
      'other-vote',
      'again',
      'other-vote',
    ])
    await s.close()
  })

  test('of 100 different votes of one client at once, exactly one counts', async () => {
    const fresh = await backend.fresh()
    // Two processes, as with two replicas.
    const stores = [await sqlStore(await fresh.open()), await sqlStore(await fresh.open())]
    const [a, b] = stores as [Store, Store]
    await a.openRound(round())
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? a : b).castVotes([vote(1, `body-${i}`)])),
    )
    const types = outcomes.flat().map(({ type }) => type)
    expect(types.filter((type) => type === 'counted')).toHaveLength(1)
    expect(types.filter((type) => type === 'other-vote')).toHaveLength(99)
    expect(await a.voters(hex(1))).toBe(1)
    for (const s of stores) await s.close()
  })

  test('groups with the same clients in other orders do not wait for each other for ever', async () => {
    const fresh = await backend.fresh()
    const stores = await Promise.all([1, 2].map(async () => sqlStore(await fresh.open())))
    const [a, b] = stores as [Store, Store]
    await a.openRound(round())
    const clients = Array.from({ length: 60 }, (_, i) => i)
    const [one, two] = await Promise.all([
      a.castVotes(clients.map((c) => vote(c, `a${c}`))),
      b.castVotes([...clients].reverse().map((c) => vote(c, `b${c}`))),
    ])
    const counted = [...one, ...two].filter(({ type }) => type === 'counted')
    expect(counted).toHaveLength(60)
    expect(await bodies(a)).toHaveLength(60)
    for (const s of stores) await s.close()
  })

  test('a vote that was counted is in the closed round, and none comes later', async () => {
    const s = await empty()
    await s.openRound(round())
    const casts = Array.from({ length: 40 }, (_, c) => s.castVotes([vote(c, `v${c}`)]))
    const closing = s.closeRound(hex(1))
    const counted = (await Promise.all(casts)).flat().filter(({ type }) => type === 'counted').length
    await closing
    expect(await s.voters(hex(1))).toBe(counted)
    expect(await s.castVotes([vote(99, 'late')])).toEqual([{ type: 'round-closed' }])
    expect((await s.round(hex(1)))?.state).toBe('closed')
    await s.close()
  })

  test('an ended round stays as it ended; its votes can be forgotten, its receipts not', async () => {
    const s = await empty()
    await s.openRound(round())
    await s.castVotes([vote(1, 'a'), vote(2, 'b')])
    await s.forgetVotes(hex(1))
    expect(await bodies(s)).toEqual(['a', 'b'])
    await s.closeRound(hex(1))
    await s.endRound(hex(1), 'released', hex(7))
    await s.endRound(hex(1), 'refused', null)
    await s.closeRound(hex(1))
    expect(await s.round(hex(1))).toMatchObject({ state: 'released', release: hex(7) })
    await s.forgetVotes(hex(1))
    expect(await bodies(s)).toEqual(['', ''])
    expect(await s.countedVote(hex(1), hex(1))).toEqual({ sha256: 'sha-of-a', received: 500 })
    expect(await s.countedVote(hex(1), hex(3))).toBeUndefined()
    expect((await s.castVotes([vote(1, 'a')]))[0]).toMatchObject({ type: 'again', sha256: 'sha-of-a' })
    await s.close()
  })

  test('keeps what came of each job of a round, the first time, until the round has ended', async () => {
    const s = await empty()
    await s.openRound(round())
    const job = (number: number, accepted = 2) => ({
      number,
      accepted,
      share: new Uint8Array([number, 255, 0]),
      checksum: new Uint8Array(32).fill(number),
    })
    expect(await s.jobs(hex(1))).toEqual([])
    for (const number of [1, 0]) await s.putJob(hex(1), job(number))
    await s.putJob(hex(1), job(1, 99))
    await s.putJob(hex(2), job(5))
    expect(await s.jobs(hex(1))).toEqual([job(0), job(1)])
    await s.forgetVotes(hex(1))
    expect(await s.jobs(hex(1))).toHaveLength(2)
    await s.closeRound(hex(1))
    await s.endRound(hex(1), 'refused', null)
    await s.forgetVotes(hex(1))
    expect(await s.jobs(hex(1))).toEqual([])
    expect(await s.jobs(hex(2))).toEqual([job(5)])
    await s.close()
  })

  test('seats are limited, also when many ask at once, and needed where they are', async () => {
    const s = await empty()
    await s.openRound(round({ seats: 3 }))
    expect((await s.castVotes([vote(1, 'a')]))[0]?.type).toBe('no-seat')
    const outcomes = await Promise.all(Array.from({ length: 20 }, (_, c) => s.takeSeat(hex(1), hex(c), 500)))
    expect(outcomes.filter((outcome) => outcome === 'seated')).toHaveLength(3)
    expect(outcomes.filter((outcome) => outcome === 'no-seat-left')).toHaveLength(17)
    const seated = outcomes.indexOf('seated')
    expect(await s.takeSeat(hex(1), hex(seated), 500)).toBe('seated')
    expect(await s.takeSeat(hex(1), hex(seated), 1000)).toBe('round-closed')
    expect((await s.castVotes([vote(seated, 'a')]))[0]?.type).toBe('counted')
    await s.close()
  })

  test('reads votes page by page', async () => {
    const s = await empty()
    await s.openRound(round())
    await s.castVotes(Array.from({ length: 1203 }, (_, c) => vote(c, `${c}`)))
    expect((await bodies(s)).map(Number)).toEqual(Array.from({ length: 1203 }, (_, c) => c))
    await s.close()
  })

  test('a nonce is used once, until it is forgotten', async () => {
    const use = { client: hex(1), nonce: 'n', received: 100 }
    expect(await store.useNonce(use)).toBe(true)
    expect(await store.useNonce(use)).toBe(false)
    expect(await store.useNonce({ ...use, client: hex(2) })).toBe(true)
    await store.forgetNonces(100)
    expect(await store.useNonce(use)).toBe(false)
    await store.forgetNonces(101)
    expect(await store.useNonce(use)).toBe(true)
  })

  test('keeps what the operator asked for', async () => {
    expect(await store.control()).toBe('running')
    await store.setControl('paused')
    await store.setControl('draining')
    expect(await store.control()).toBe('draining')
    await store.setControl('finished')
    await store.setControl('running')
    expect(await store.control()).toBe('finished')
    await store.reopen()
    expect(await store.control()).toBe('running')
    await store.setControl('paused')
    await store.reopen()
    expect(await store.control()).toBe('paused')
  })

  test('what was there is there after closing and opening', async () => {
    const fresh = await backend.fresh()
    const before = await sqlStore(await fresh.open())
    await before.openRound(round())
    await before.castVotes([vote(1, 'kept')])
    const task = await before.task()
    await before.close()
    const after = await sqlStore(await fresh.open())
    expect(await after.task()).toBe(task)
    expect(await bodies(after)).toEqual(['kept'])
    await after.close()
  })
})

it('the embedded database is for its owner alone', async () => {
  const file = join(await mkdtemp(join(tmpdir(), 'store-')), 'store.db')
  const store = await sqlStore(await embeddedDatabase(file))
  await store.task()
  for (const name of ['', '-wal', '-shm']) expect((await stat(`${file}${name}`)).mode & 0o777).toBe(0o600)
  await store.close()
})

it.skipIf(server === undefined)(
  'votes survive an immediate stop of PostgreSQL, and the store reconnects',
  async () => {
    const fresh = await postgres.fresh()
    const store = await sqlStore(await fresh.open())
    await store.openRound(round())
    await store.castVotes([vote(1, 'acknowledged')])
    server?.crash()
    await expect.poll(() => store.voters(hex(1)).catch(() => undefined)).toBe(1)
    await store.close()
  },
)

it('an address without a server is an error that does not show the password', async () => {
  const wrong = postgresDatabase('postgres://user:hush@127.0.0.1:1/nothing')
  await expect(wrong).rejects.toThrow(/^expected a PostgreSQL server, could not connect to one$/)
})
