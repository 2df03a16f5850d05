// The store in SQL. Every decision is made by statements inside one transaction (unique keys, conditions), never between
// a read and a write of this process, so that replicas and crashes cannot come between.
import { randomBytes } from 'node:crypto'
import { migrate } from './migrations.ts'
import { bytesOf, type SqlDatabase, type SqlRow, type SqlStatement } from './sql-database.ts'
import type { Control, RoundPhase, Store, StoredRound, UploadedVote, VoteOutcome } from './store.ts'

const PAGE = 500

export async function sqlStore(database: SqlDatabase): Promise<Store> {
  await migrate(database)
  const locks = database.kind === 'postgres'
  /** Keeps a round from being closed meanwhile; the embedded database has one writer at a time anyway. */
  const lockRound = (manifest: string, mode: 'SHARE' | 'UPDATE'): SqlStatement[] =>
    locks ? [{ sql: `SELECT state FROM rounds WHERE manifest = ? FOR ${mode}`, args: [manifest] }] : []
  const request = () => randomBytes(12).toString('hex')
  const first = async (sql: string, ...args: (string | number)[]): Promise<SqlRow | undefined> =>
    (await database.read(sql, args))[0]

  return {
    kind: database.kind,

    async task() {
      const sql = "SELECT value FROM settings WHERE name = 'task'"
      const own = randomBytes(16).toString('hex')
      const [, rows = []] = await database.write([
        { sql: "INSERT INTO settings VALUES ('task', ?) ON CONFLICT DO NOTHING", args: [own] },
        { sql },
      ])
      return String(rows[0]?.value)
    },

    async addTokens(hashes, at) {
      await database.write(
        hashes.map((hash) => ({
          sql: 'INSERT INTO tokens (hash, created) VALUES (?, ?) ON CONFLICT DO NOTHING',
          args: [hash, at],
        })),
      )
    },

    async enrol({ tokenHash, client, publicKey, at }) {
      const [, , rows = []] = await database.write([
        { sql: 'UPDATE tokens SET client = ? WHERE hash = ? AND client IS NULL', args: [client, tokenHash] },
        {
          sql: `INSERT INTO clients (client, public_key, enrolled) SELECT ?, ${locks ? 'CAST(? AS BYTEA)' : '?'}, ${locks ? 'CAST(? AS BIGINT)' : '?'}
            WHERE EXISTS (SELECT 1 FROM tokens WHERE hash = ? AND client = ?) ON CONFLICT DO NOTHING`,
          args: [client, publicKey, at, tokenHash, client],
        },
        { sql: 'SELECT client FROM tokens WHERE hash = ? AND client = ?', args: [tokenHash, client] },
      ])
      return rows.length === 1 ? 'enrolled' : 'unknown-token'
    },

    async publicKeys(clients) {
      const places = clients.map(() => '?').join(', ')
      const rows = await database.read(
        `SELECT client, public_key FROM clients WHERE client IN (${places})`,
        clients,
      )
      return new Map(rows.map((row) => [String(row.client), bytesOf(row.public_key)]))
    },

    async useNonce({ client, nonce, received }) {
      const own = request()
      const [, rows = []] = await database.write([
        nonceInsert(client, nonce, own, received),
        {
          sql: 'SELECT 1 AS fresh FROM nonces WHERE client = ? AND nonce = ? AND request = ?',
          args: [client, nonce, own],
        },
      ])
      return rows.length === 1
    },

    async forgetNonces(time) {
      await database.write([{ sql: 'DELETE FROM nonces WHERE received < ?', args: [time] }])
    },

    async putBlob(sha256, bytes) {
      await database.write([
        { sql: 'INSERT INTO blobs VALUES (?, ?) ON CONFLICT DO NOTHING', args: [sha256, bytes] },
      ])
    },

    async blob(sha256) {
      const row = await first('SELECT bytes FROM blobs WHERE sha256 = ?', sha256)
      return row === undefined ? undefined : bytesOf(row.bytes)
    },

    async openRound(round) {
      const { manifest, run, number, attempt, opened, deadline, seats } = round
      const [, rows = []] = await database.write([
        {
          sql: `INSERT INTO rounds (manifest, run, number, attempt, state, opened, deadline, seats)
            VALUES (?, ?, ?, ?, 'open', ?, ?, ?) ON CONFLICT DO NOTHING`,
          args: [manifest, run, number, attempt, opened, deadline, seats],
        },
        {
          sql: 'SELECT * FROM rounds WHERE run = ? AND number = ? AND attempt = ?',
          args: [run, number, attempt],
        },
      ])
      return roundFrom(rows[0] as SqlRow)
    },

    async round(manifest) {
      const row = await first('SELECT * FROM rounds WHERE manifest = ?', manifest)
      return row === undefined ? undefined : roundFrom(row)
    },

    async rounds(run) {
      const rows =
        run === undefined
          ? await database.read('SELECT * FROM rounds ORDER BY opened DESC, attempt DESC LIMIT 100')
          : await database.read('SELECT * FROM rounds WHERE run = ? ORDER BY number, attempt', [run])
      return rows.map(roundFrom)
    },

    async takeSeat(manifest, client, at) {
      const results = await database.write([
        ...lockRound(manifest, 'UPDATE'),
        {
          sql: `INSERT INTO seats (manifest, client, taken) SELECT r.manifest, ?, ${locks ? 'CAST(? AS BIGINT)' : '?'}
            FROM rounds r WHERE r.manifest = ? AND r.state = 'open' AND r.deadline > ?
            AND (r.seats IS NULL OR (SELECT COUNT(*) FROM seats s WHERE s.manifest = r.manifest) < r.seats)
            ON CONFLICT DO NOTHING`,
          args: [client, at, manifest, at],
        },
        {
          sql: `SELECT (SELECT COUNT(*) FROM seats WHERE manifest = ? AND client = ?) AS seated,
            (SELECT COUNT(*) FROM rounds WHERE manifest = ? AND state = 'open' AND deadline > ?) AS open`,
          args: [manifest, client, manifest, at],
        },
      ])
      const row = results.at(-1)?.[0]
      if (Number(row?.open) === 0) return 'round-closed'
      return Number(row?.seated) === 1 ? 'seated' : 'no-seat-left'
    },

    async castVotes(votes) {
      const cast = votes.map((vote, place) => ({ vote, place, request: request() }))
      const counted = new Set<string>()
      for (const manifest of new Set(votes.map((vote) => vote.manifest))) {
        const group = cast.filter(({ vote }) => vote.manifest === manifest)
        const results = await database.write([
          ...lockRound(manifest, 'SHARE'),
          ...castStatements(manifest, group, locks),
        ])
        for (const row of results.at(-1) ?? []) counted.add(String(row.request))
      }
      // What was not counted now is looked at one by one: it is rare, and nothing of it changes any more.
      return Promise.all(
        cast.map(async ({ vote, request }): Promise<VoteOutcome> => {
          const { sha256, received } = vote
          if (counted.has(request)) return { type: 'counted', sha256, received }
          return notCounted(await first(NOT_COUNTED, ...notCountedArgs(vote, request)), vote)
        }),
      )
    },

    async closeRound(manifest) {
      await database.write([
        { sql: "UPDATE rounds SET state = 'closed' WHERE manifest = ? AND state = 'open'", args: [manifest] },
      ])
    },

    async endRound(manifest, state, release) {
      await database.write([
        {
          sql: "UPDATE rounds SET state = ?, release_sha256 = ? WHERE manifest = ? AND state IN ('open', 'closed')",
          args: [state, release, manifest],
        },
      ])
    },

    async voters(manifest) {
      const row = await first('SELECT COUNT(*) AS n FROM votes WHERE manifest = ?', manifest)
      return Number(row?.n)
    },

    async *votes(manifest) {
      let after = ''
      for (;;) {
        const rows = await database.read(
          'SELECT client, body FROM votes WHERE manifest = ? AND client > ? ORDER BY client LIMIT ?',
          [manifest, after, PAGE],
        )
        for (const row of rows) yield bytesOf(row.body)
        if (rows.length < PAGE) return
        after = String(rows.at(-1)?.client)
      }
    },

    async countedVote(manifest, client) {
      const sql = 'SELECT sha256, received FROM votes WHERE manifest = ? AND client = ?'
      const row = await first(sql, manifest, client)
      return row === undefined ? undefined : { sha256: String(row.sha256), received: Number(row.received) }
    },

    async putJob(manifest, { number, share, accepted, checksum }) {
      await database.write([
        {
          sql: 'INSERT INTO jobs VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
          args: [manifest, number, share, accepted, checksum],
        },
      ])
    },

    async jobs(manifest) {
      const rows = await database.read('SELECT * FROM jobs WHERE manifest = ? ORDER BY number', [manifest])
      return rows.map((row) => ({
        number: Number(row.number),
        share: bytesOf(row.share),
        accepted: Number(row.accepted),
        checksum: bytesOf(row.checksum),
      }))
    },

    async forgetVotes(manifest) {
      const ended =
        "EXISTS (SELECT 1 FROM rounds r WHERE r.manifest = ? AND r.state IN ('released', 'refused'))"
      await database.write([
        {
          sql: `UPDATE votes SET body = ? WHERE manifest = ? AND ${ended}`,
          args: [new Uint8Array(), manifest, manifest],
        },
        { sql: `DELETE FROM jobs WHERE manifest = ? AND ${ended}`, args: [manifest, manifest] },
      ])
      await database.scrub?.()
    },

    async control() {
      const row = await first("SELECT value FROM settings WHERE name = 'control'")
      return (row?.value ?? 'running') as Control
    },

    async setControl(control) {
      await database.write([
        {
          sql: `INSERT INTO settings VALUES ('control', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
            WHERE settings.value <> 'finished'`,
          args: [control],
        },
      ])
    },

    async reopen() {
      await database.write([
        { sql: "UPDATE settings SET value = 'running' WHERE name = 'control' AND value = 'finished'" },
      ])
    },

    close: () => database.close(),
  }
}

function nonceInsert(client: string, nonce: string, request: string, received: number): SqlStatement {
  return {
    sql: 'INSERT INTO nonces (client, nonce, request, received) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    args: [client, nonce, request, received],
  }
}

interface Cast {
  readonly vote: UploadedVote
  readonly place: number
  readonly request: string
}

/** Two statements for a whole group: use the nonces; count what everything allows, and say which those were. */
function castStatements(manifest: string, group: readonly Cast[], typed: boolean): SqlStatement[] {
  // In one order everywhere, so that two replicas cannot wait for each other.
  const order = [...group].sort((a, b) => compare(a.vote.client, b.vote.client) || a.place - b.place)
  const bytes = typed ? 'CAST(? AS BYTEA)' : '?'
  const number = typed ? 'CAST(? AS BIGINT)' : '?'
  const rows = order.map((_, i) => `(${i}, ?, ${bytes}, ?, ${number}, ?)`).join(', ')
  return [
    {
      sql: `INSERT INTO nonces (client, nonce, request, received) VALUES ${order.map(() => '(?, ?, ?, ?)').join(', ')}
        ON CONFLICT DO NOTHING`,
      args: order.flatMap(({ vote, request }) => [vote.client, vote.nonce, request, vote.received]),
    },
    {
      sql: `INSERT INTO votes (manifest, client, body, sha256, received, request)
        SELECT r.manifest, v.column2, v.column3, v.column4, v.column5, v.column6
        FROM (VALUES ${rows}) v, rounds r
        WHERE r.manifest = ? AND r.state = 'open' AND r.deadline > v.column5
          AND EXISTS (SELECT 1 FROM nonces n WHERE n.client = v.column2 AND n.request = v.column6)
          AND (r.seats IS NULL
            OR EXISTS (SELECT 1 FROM seats s WHERE s.manifest = r.manifest AND s.client = v.column2))
        ORDER BY v.column1 ON CONFLICT DO NOTHING RETURNING request`,
      args: [
        ...order.flatMap(({ vote, request }) => [
          vote.client,
          vote.body,
          vote.sha256,
          vote.received,
          request,
        ]),
        manifest,
      ],
    },
  ]
}

const NOT_COUNTED = `SELECT v.sha256, v.received,
    (SELECT COUNT(*) FROM nonces WHERE client = ? AND nonce = ? AND request = ?) AS fresh,
    (SELECT COUNT(*) FROM rounds WHERE manifest = ? AND state = 'open' AND deadline > ?) AS open
  FROM (SELECT 1 AS one) o LEFT JOIN votes v ON v.manifest = ? AND v.client = ?`

function notCountedArgs(vote: UploadedVote, request: string) {
  const { manifest, client, nonce, received } = vote
  return [client, nonce, request, manifest, received, manifest, client] as const
}

function notCounted(row: SqlRow | undefined, { sha256 }: UploadedVote): VoteOutcome {
  if (row === undefined || Number(row.fresh) === 0) return { type: 'replayed' }
  if (row.sha256 === null) return { type: Number(row.open) === 1 ? 'no-seat' : 'round-closed' }
  if (row.sha256 !== sha256) return { type: 'other-vote' }
  return { type: 'again', sha256, received: Number(row.received) }
}

function roundFrom(row: SqlRow): StoredRound {
  return {
    manifest: String(row.manifest),
    run: String(row.run),
    number: Number(row.number),
    attempt: Number(row.attempt),
    state: row.state as RoundPhase,
    opened: Number(row.opened),
    deadline: Number(row.deadline),
    seats: row.seats === null ? null : Number(row.seats),
    release: row.release_sha256 === null ? null : String(row.release_sha256),
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
