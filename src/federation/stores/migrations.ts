// Numbered migrations, the same for both databases but for the name of the type of bytes. Numbers never change meaning:
// a new table or column is a new migration.
import { PretextError } from '../../errors.ts'
import type { SqlDatabase } from './sql-database.ts'

export interface Migration {
  readonly version: number
  readonly statements: readonly string[]
}

/** Tables of the coordinator. */
const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    statements: [
      'CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)',
      'CREATE TABLE tokens (hash TEXT PRIMARY KEY, created BIGINT NOT NULL, client TEXT)',
      'CREATE TABLE clients (client TEXT PRIMARY KEY, public_key BYTES NOT NULL, enrolled BIGINT NOT NULL)',
      'CREATE TABLE nonces (client TEXT NOT NULL, nonce TEXT NOT NULL, request TEXT NOT NULL, received BIGINT NOT NULL, PRIMARY KEY (client, nonce))',
      'CREATE INDEX nonces_received ON nonces (received)',
      'CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, bytes BYTES NOT NULL)',
      `CREATE TABLE rounds (manifest TEXT PRIMARY KEY, run TEXT NOT NULL, number INTEGER NOT NULL, attempt INTEGER NOT NULL,
        state TEXT NOT NULL, opened BIGINT NOT NULL, deadline BIGINT NOT NULL, seats INTEGER, release_sha256 TEXT,
        UNIQUE (run, number, attempt))`,
      'CREATE TABLE seats (manifest TEXT NOT NULL, client TEXT NOT NULL, taken BIGINT NOT NULL, PRIMARY KEY (manifest, client))',
      `CREATE TABLE votes (manifest TEXT NOT NULL, client TEXT NOT NULL, body BYTES NOT NULL, sha256 TEXT NOT NULL,
        received BIGINT NOT NULL, request TEXT NOT NULL, PRIMARY KEY (manifest, client))`,
    ],
  },
  {
    version: 2,
    statements: [
      `CREATE TABLE jobs (manifest TEXT NOT NULL, number INTEGER NOT NULL, share BYTES NOT NULL, accepted INTEGER NOT NULL,
        checksum BYTES NOT NULL, PRIMARY KEY (manifest, number))`,
    ],
  },
]

export const LATEST_MIGRATION = MIGRATIONS.at(-1)?.version as number

/** Brings a database to the newest version. Several processes may try at once. */
export async function migrate(
  database: SqlDatabase,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const latest = migrations.at(-1)?.version as number
  await database.read('CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY)').catch(() => {})
  const version = async (): Promise<number> => {
    const [row] = await database.read('SELECT COALESCE(MAX(version), 0) AS version FROM migrations')
    return Number(row?.version)
  }
  const found = await version()
  if (found > latest) {
    throw new PretextError(`expected a store of version ${latest} at most, got version ${found}`, {
      code: 'storage',
      hint: 'it was written by a newer pretext: use that, or another store',
    })
  }
  for (const migration of migrations.filter((m) => m.version > found)) {
    const lock = database.kind === 'postgres' ? ['LOCK TABLE migrations IN EXCLUSIVE MODE'] : []
    const statements = migration.statements.map((sql) => sql.replaceAll('BYTES', database.bytesType))
    try {
      await database.write(
        [...lock, ...statements, `INSERT INTO migrations VALUES (${migration.version})`].map((sql) => ({
          sql,
        })),
      )
    } catch (error) {
      // Another process was first; anything else is an error.
      if ((await version()) < migration.version) throw error
    }
  }
}
