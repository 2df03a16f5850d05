// A leader that begins rounds and leaves them: what the helper keeps of them is bounded, in number and in time, whether another
// round comes or not; and an honest leader, which dies now and then, is never kept out.
import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { MOST_JOBS, MOST_OPEN, MOST_REFUSED } from '../../src/federation/helper/helper-rounds.ts'
import { helperStore } from '../../src/federation/helper/helper-store.ts'
import { type Manifest, manifestBytes, manifestHash } from '../../src/federation/protocol/manifest.ts'
import { encodeJob, voteVdaf } from '../../src/federation/protocol/report-bytes.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { manualClock } from './example.ts'
import { itemsOf, multihotTerms, type Pair, pairsOf } from './two-server-kit.ts'

const { begun, pairOf } = pairsOf(afterEach)
const DAY_MS = 86_400_000

/** The terms of the round, as another round of it. */
const other = (manifest: Manifest, n: number, change: Partial<Manifest> = {}): Manifest => ({
  ...manifest,
  attempt: n,
  ...change,
})
const announce = (pair: Pair, manifest: Manifest) =>
  pair.connection.announce(manifestHash(manifest), manifestBytes(manifest))
const emptyJob = (manifest: Manifest) => encodeJob(voteVdaf(manifest), [])
const stateOf = async (pair: Pair, manifest: Manifest) =>
  (await pair.atHelper.round(manifestHash(manifest)))?.state

it('of 40 rounds that a leader begins and leaves, four are kept; the newest of them goes on', async () => {
  const { pair, hash } = await begun(3)
  const manifest = await pair.manifestOf(hash)
  const left = Array.from({ length: 40 }, (_, i) => other(manifest, i + 2))
  for (const one of left) {
    await announce(pair, one)
    await pair.connection.job(manifestHash(one), 0, emptyJob(one))
  }
  const states = await Promise.all([manifest, ...left].map((one) => stateOf(pair, one)))
  expect(states.slice(-MOST_OPEN)).toEqual(Array(MOST_OPEN).fill('open'))
  expect(new Set(states.slice(0, -MOST_OPEN))).toEqual(new Set(['refused']))
  // Nothing of the others is left: no share, no document.
  for (const one of [manifest, ...left.slice(0, -MOST_OPEN)]) {
    const name = manifestHash(one)
    expect(await pair.atHelper.results(name)).toEqual([])
    expect((await pair.atHelper.round(name))?.document).toHaveLength(0)
    await expect(pair.connection.job(name, 1, emptyJob(one))).rejects.toThrow(
      'the helper refused: the round takes no more votes',
    )
    await expect(pair.connection.release(name, { count: 0, checksum: '0'.repeat(64) })).rejects.toThrow(
      'the helper refused: the round takes no more votes',
    )
  }
  const newest = left.at(-1) as Manifest
  expect(await pair.atHelper.results(manifestHash(newest))).toHaveLength(1)
})

it('an honest leader that died between showing rounds and opening them votes, counts and releases as ever', async () => {
  const pair = await pairOf({ terms: multihotTerms({ attempts: 2 }) })
  const first = await pair.open()
  const shown = await pair.manifestOf(first)
  for (let i = 2; i < 12; i++) await announce(pair, other(shown, i))
  await pair.connection.refuse(first)
  await pair.store.closeRound(first)
  await pair.store.endRound(first, 'refused', null)
  const again = await pair.open()
  for (let n = 0; n < 3; n++) expect((await pair.voteOf(again, n, [0, 1])).status).toBe(200)
  await pair.close(again)
  await pair.release(again)
  expect(await stateOf(pair, await pair.manifestOf(again))).toBe('released')
})

it('a round keeps 1,024 jobs, and the next is refused in words', async () => {
  const { pair, hash } = await begun(3)
  const manifest = await pair.manifestOf(hash)
  const share = voteVdaf(manifest).aggregate([])
  for (let number = 0; number < MOST_JOBS - 1; number++) {
    await pair.atHelper.putJob(
      hash,
      {
        number,
        sha256: '0'.repeat(64),
        answer: new Uint8Array(),
        result: { share, accepted: 0, checksum: new Uint8Array(32) },
      },
      [],
    )
  }
  const body = encodeJob(voteVdaf(manifest), await itemsOf(pair, hash))
  const last = await pair.connection.job(hash, MOST_JOBS - 1, body)
  await expect(pair.connection.job(hash, MOST_JOBS, emptyJob(manifest))).rejects.toThrow(
    'the helper refused: the body is larger than such a body can be (expected at most 1024 jobs of a round)',
  )
  // What was done before is answered as before.
  expect(await pair.connection.job(hash, MOST_JOBS - 1, body)).toEqual(last)
})

it('what its leader left for good is forgotten a week after its deadline, though no other round comes', async () => {
  const clock = manualClock(Date.now())
  const { pair, hash } = await begun(3, { clock })
  const manifest = await pair.manifestOf(hash)
  await pair.connection.job(hash, 0, emptyJob(manifest))
  clock.advance(manifest.deadline - clock.now() + 7 * DAY_MS)
  await pair.rounds.tidy()
  expect(await pair.atHelper.results(hash)).toHaveLength(1)
  clock.advance(1)
  await pair.rounds.tidy()
  expect(await pair.atHelper.results(hash)).toEqual([])
  expect(await stateOf(pair, manifest)).toBe('refused')
})

it('a deadline in a thousand years counts as one in a month', async () => {
  const clock = manualClock(Date.now())
  const { pair, hash } = await begun(3, { clock })
  const far = other(await pair.manifestOf(hash), 2, { deadline: clock.now() + 365_000 * DAY_MS })
  await announce(pair, far)
  clock.advance(38 * DAY_MS)
  await pair.rounds.tidy()
  expect(await stateOf(pair, far)).toBe('open')
  clock.advance(1)
  await pair.rounds.tidy()
  expect(await stateOf(pair, far)).toBe('refused')
})

it('the file does not grow with the rounds that were begun and left', async () => {
  const { pair, hash } = await begun(3)
  const manifest = await pair.manifestOf(hash)
  const file = join(pair.folder, 'helper', 'store.db')
  const leave = async (from: number, to: number) => {
    for (let n = from; n < to; n++) {
      // Padded, as only somebody who wants to fill a disk does it.
      const document = Buffer.concat([manifestBytes(other(manifest, n)), Buffer.alloc(20_000, 32)])
      await pair.connection.announce(createHash('sha256').update(document).digest('hex'), document)
    }
    return (await stat(file)).size
  }
  const before = await leave(2, 30)
  expect((await leave(30, 130)) - before).toBeLessThan(500_000)
})

it('of refused rounds a thousand names are kept', async () => {
  const pair = await pairOf()
  const store = await helperStore(await embeddedDatabase(join(pair.folder, 'other.db')))
  const name = (n: number) => n.toString(16).padStart(64, '0')
  for (let n = 0; n < 12; n++) {
    await store.addRound({ manifest: name(n), document: Uint8Array.of(1), deadline: 1, at: n })
    if (n !== 3) await store.endRound(name(n), n === 4 ? 'released' : 'refused')
  }
  await store.forgetRefused(5)
  const kept = (await store.rounds()).map(
    ({ manifest, state }) => `${Number.parseInt(manifest, 16)} ${state}`,
  )
  expect(kept).toEqual([
    '11 refused',
    '10 refused',
    '9 refused',
    '8 refused',
    '7 refused',
    '4 released',
    '3 open',
  ])
  expect(MOST_REFUSED).toBe(1000)
  await store.close()
})

it('rounds that an earlier helper left, which did not write down when they end, are forgotten at the next start', async () => {
  const pair = await pairOf()
  const database = await embeddedDatabase(join(pair.folder, 'earlier.db'))
  const name = (digit: string) => digit.repeat(64)
  const statements = [
    'CREATE TABLE migrations (version INTEGER PRIMARY KEY)',
    'INSERT INTO migrations VALUES (1)',
    'CREATE TABLE rounds (manifest TEXT PRIMARY KEY, document BLOB NOT NULL, state TEXT NOT NULL, seen BIGINT NOT NULL)',
    `CREATE TABLE jobs (manifest TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, answer BLOB NOT NULL,
      share BLOB NOT NULL, accepted INTEGER NOT NULL, checksum BLOB NOT NULL, PRIMARY KEY (manifest, number))`,
    `CREATE TABLE reports (manifest TEXT NOT NULL, report TEXT NOT NULL, client TEXT NOT NULL,
      PRIMARY KEY (manifest, report), UNIQUE (manifest, client))`,
    `INSERT INTO rounds VALUES ('${name('a')}', x'7b7d', 'open', 1), ('${name('b')}', x'7b7d', 'released', 2)`,
    `INSERT INTO jobs VALUES ('${name('a')}', 0, '', x'', x'01', 1, x'')`,
  ]
  await database.write(statements.map((sql) => ({ sql })))
  const store = await helperStore(database)
  expect(await store.abandoned(Date.now(), MOST_OPEN)).toEqual([name('a')])
  await store.endRound(name('a'), 'refused')
  expect(await store.results(name('a'))).toEqual([])
  expect((await store.rounds()).map(({ state }) => state)).toEqual(['released', 'refused'])
  await store.close()
})
