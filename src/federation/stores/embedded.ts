// The embedded database: libSQL (SQLite) in this process, write-ahead log, synchronous = FULL, so that a committed vote
// survives kill -9 and loss of power. One connection.
import { chmod, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ResultSet } from '@libsql/client'
import { storageError } from '../../durable.ts'
import { PretextError } from '../../errors.ts'
import type { SqlDatabase, SqlRow, SqlStatement } from './sql-database.ts'

const BUSY_MS = 10_000
/** The log is folded into the database every 32 MB: each time costs two more syncs, and votes wait for them. */
const PRAGMAS = [
  'journal_mode = WAL',
  'synchronous = FULL',
  `busy_timeout = ${BUSY_MS}`,
  // Votes and shares that are forgotten are overwritten with zeros.
  'secure_delete = ON',
  'wal_autocheckpoint = 8000',
]

export async function embeddedDatabase(file: string): Promise<SqlDatabase> {
  try {
    // It holds single votes: for its owner alone, as are the files that SQLite puts beside it.
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    await (await open(file, 'a', 0o600)).close()
    await chmod(file, 0o600)
  } catch (error) {
    throw storageError(error, file)
  }
  try {
    // Loaded here: a run without clients of its own opens no store.
    const { createClient } = await import('@libsql/client')
    const client = createClient({ url: pathToFileURL(file).href, concurrency: 1, timeout: BUSY_MS })
    for (const pragma of PRAGMAS) await client.execute(`PRAGMA ${pragma}`)
    const rows = (result: ResultSet): SqlRow[] => result.rows as unknown as SqlRow[]
    return {
      kind: 'embedded',
      bytesType: 'BLOB',
      async write(statements: readonly SqlStatement[]) {
        const results = await client.batch(
          statements.map(({ sql, args = [] }) => ({ sql, args: [...args] })),
          'write',
        )
        return results.map(rows)
      },
      read: async (sql, args = []) => rows(await client.execute({ sql, args: [...args] })),
      // The log still has every page as it was written.
      async scrub() {
        await client.execute('PRAGMA wal_checkpoint(TRUNCATE)')
      },
      async close() {
        client.close()
      },
    }
  } catch (error) {
    throw new PretextError(`${file}: expected the coordinator's database, could not open one`, {
      code: 'storage',
      hint: 'check the folder’s permissions and free space, or name another file in federation.store',
      cause: error,
    })
  }
}
