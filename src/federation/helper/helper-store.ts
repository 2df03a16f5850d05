// What a helper must not forget: the rounds it was shown, which reports it saw, and its share of their sums. Every step is
// one transaction, durable before the leader hears of it. One process at a time has it open.
import { migrate } from '../stores/migrations.ts'
import { bytesOf, type SqlDatabase, type SqlStatement } from '../stores/sql-database.ts'
import type { JobResult } from '../verification/jobs.ts'

const MIGRATIONS = [
  {
    version: 1,
    statements: [
      'CREATE TABLE rounds (manifest TEXT PRIMARY KEY, document BYTES NOT NULL, state TEXT NOT NULL, seen BIGINT NOT NULL)',
      `CREATE TABLE jobs (manifest TEXT NOT NULL, number INTEGER NOT NULL, sha256 TEXT NOT NULL, answer BYTES NOT NULL,
        share BYTES NOT NULL, accepted INTEGER NOT NULL, checksum BYTES NOT NULL, PRIMARY KEY (manifest, number))`,
      `CREATE TABLE reports (manifest TEXT NOT NULL, report TEXT NOT NULL, client TEXT NOT NULL,
        PRIMARY KEY (manifest, report), UNIQUE (manifest, client))`,
    ],
  },
  { version: 2, statements: ['ALTER TABLE rounds ADD COLUMN deadline BIGINT NOT NULL DEFAULT 0'] },
]

export type HelperPhase = 'open' | 'released' | 'refused'

export interface HelperRound {
  readonly document: Uint8Array
  readonly state: HelperPhase
}

export interface AnsweredJob {
  readonly number: number
  /** Of the request's body. */
  readonly sha256: string
  readonly answer: Uint8Array
  readonly result: JobResult
}

/** A report that has been looked into, in hex: neither its id nor its client comes a second time in a round. */
export interface SeenReport {
  readonly report: string
  readonly client: string
}

export interface HelperStore {
  addRound(round: {
    readonly manifest: string
    readonly document: Uint8Array
    readonly deadline: number
    readonly at: number
  }): Promise<void>
  round(manifest: string): Promise<HelperRound | undefined>
  rounds(): Promise<readonly { readonly manifest: string; readonly state: HelperPhase }[]>
  /** Rounds that are not over, but for the newest `keep` of those whose deadline is not before `time`. */
  abandoned(time: number, keep: number): Promise<readonly string[]>
  /** Forgets that there were refused rounds, but for the newest `keep`. */
  forgetRefused(keep: number): Promise<void>
  jobCount(manifest: string): Promise<number>
  job(manifest: string, number: number): Promise<Pick<AnsweredJob, 'sha256' | 'answer'> | undefined>
  /** Which of these ids and clients were seen in the round. */
  seen(manifest: string, reports: readonly SeenReport[]): Promise<ReadonlySet<string>>
  /** The job's outcome, its share and the reports that it looked into: all or nothing. Throws if a report was seen before. */
  putJob(manifest: string, job: AnsweredJob, seen: readonly SeenReport[]): Promise<void>
  results(manifest: string): Promise<JobResult[]>
  /** Ends a round and forgets its shares, and the document of a refused one; one that has ended stays as it is. */
  endRound(manifest: string, state: 'released' | 'refused'): Promise<void>
  close(): Promise<void>
}

export async function helperStore(database: SqlDatabase): Promise<HelperStore> {
  await migrate(database, MIGRATIONS)
  return {
    async addRound({ manifest, document, deadline, at }) {
      await database.write([
        {
          sql: "INSERT INTO rounds VALUES (?, ?, 'open', ?, ?) ON CONFLICT DO NOTHING",
          args: [manifest, document, at, deadline],
        },
      ])
    },
    async round(manifest) {
      const [row] = await database.read('SELECT document, state FROM rounds WHERE manifest = ?', [manifest])
      return row === undefined
        ? undefined
        : { document: bytesOf(row.document), state: row.state as HelperPhase }
    },
    async rounds() {
      const rows = await database.read('SELECT manifest, state FROM rounds ORDER BY seen DESC LIMIT 100')
      return rows.map((row) => ({ manifest: String(row.manifest), state: row.state as HelperPhase }))
    },
    async abandoned(time, keep) {
      const rows = await database.read(
        `SELECT manifest FROM rounds WHERE state = 'open' AND manifest NOT IN (SELECT manifest FROM rounds
          WHERE state = 'open' AND deadline >= ? ORDER BY seen DESC, rowid DESC LIMIT ?)`,
        [time, keep],
      )
      return rows.map((row) => String(row.manifest))
    },
    async forgetRefused(keep) {
      await database.write([
        {
          sql: `DELETE FROM rounds WHERE state = 'refused' AND manifest NOT IN (SELECT manifest FROM rounds
            WHERE state = 'refused' ORDER BY seen DESC, rowid DESC LIMIT ?)`,
          args: [keep],
        },
      ])
    },
    async jobCount(manifest) {
      const [row] = await database.read('SELECT COUNT(*) AS jobs FROM jobs WHERE manifest = ?', [manifest])
      return Number(row?.jobs)
    },
    async job(manifest, number) {
      const [row] = await database.read('SELECT sha256, answer FROM jobs WHERE manifest = ? AND number = ?', [
        manifest,
        number,
      ])
      return row === undefined ? undefined : { sha256: String(row.sha256), answer: bytesOf(row.answer) }
    },
    async seen(manifest, reports) {
      if (reports.length === 0) return new Set()
      const places = reports.map(() => '?').join(', ')
      const rows = await database.read(
        `SELECT report, client FROM reports WHERE manifest = ? AND (report IN (${places}) OR client IN (${places}))`,
        [manifest, ...reports.map(({ report }) => report), ...reports.map(({ client }) => client)],
      )
      return new Set(rows.flatMap((row) => [String(row.report), String(row.client)]))
    },
    async putJob(manifest, { number, sha256, answer, result }, seen) {
      const statements: SqlStatement[] = [
        {
          sql: 'INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?)',
          args: [manifest, number, sha256, answer, result.share, result.accepted, result.checksum],
        },
      ]
      if (seen.length > 0) {
        statements.push({
          sql: `INSERT INTO reports VALUES ${seen.map(() => '(?, ?, ?)').join(', ')}`,
          args: seen.flatMap(({ report, client }) => [manifest, report, client]),
        })
      }
      await database.write(statements)
    },
    async results(manifest) {
      const rows = await database.read('SELECT * FROM jobs WHERE manifest = ? ORDER BY number', [manifest])
      return rows.map((row) => ({
        share: bytesOf(row.share),
        accepted: Number(row.accepted),
        checksum: bytesOf(row.checksum),
      }))
    },
    async endRound(manifest, state) {
      await database.write([
        { sql: "UPDATE rounds SET state = ? WHERE manifest = ? AND state = 'open'", args: [state, manifest] },
        {
          sql: "UPDATE rounds SET document = x'' WHERE manifest = ? AND state = 'refused'",
          args: [manifest],
        },
        { sql: 'DELETE FROM jobs WHERE manifest = ?', args: [manifest] },
        { sql: 'DELETE FROM reports WHERE manifest = ?', args: [manifest] },
      ])
      await database.scrub?.()
    },
    close: () => database.close(),
  }
}
