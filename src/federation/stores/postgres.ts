// PostgreSQL, for several stateless replicas behind a load balancer. Unique constraints and row locks decide what is
// counted, so replicas need not know of each other.
import type pg from 'pg'
import { PretextError } from '../../errors.ts'
import type { SqlDatabase, SqlRow, SqlStatement, SqlValue } from './sql-database.ts'

/** Deadlock and serialisation failures: nothing was written, and the same batch works when tried again. */
const AGAIN = ['40P01', '40001']
const TRIES = 5

export async function postgresDatabase(url: string, connections = 8): Promise<SqlDatabase> {
  // Loaded here: a run without clients of its own opens no store.
  const { default: postgres } = await import('pg')
  const pool = new postgres.Pool({ connectionString: url, max: connections, application_name: 'pretext' })
  // An idle connection that breaks is replaced by the pool; the next query tells if the server is gone.
  pool.on('error', () => {})
  const run = async (
    client: pg.Pool | pg.PoolClient,
    { sql, args = [] }: SqlStatement,
  ): Promise<SqlRow[]> => {
    let n = 0
    const result = await client.query(
      sql.replaceAll('?', () => `$${++n}`),
      args.map(parameter),
    )
    return result.rows
  }
  const once = async (statements: readonly SqlStatement[]): Promise<SqlRow[][]> => {
    const client = await pool.connect()
    let broken = false
    try {
      await client.query('BEGIN')
      await client.query('SET LOCAL synchronous_commit = on')
      const results: SqlRow[][] = []
      for (const statement of statements) results.push(await run(client, statement))
      await client.query('COMMIT')
      return results
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {
        broken = true
      })
      throw error
    } finally {
      client.release(broken)
    }
  }
  const database: SqlDatabase = {
    kind: 'postgres',
    bytesType: 'BYTEA',
    async write(statements) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await once(statements)
        } catch (error) {
          if (attempt >= TRIES || !AGAIN.includes((error as { code?: string }).code ?? '')) throw error
        }
      }
    },
    read: (sql, args = []) => run(pool, { sql, args }),
    close: () => pool.end(),
  }
  try {
    await database.read('SELECT 1')
  } catch (error) {
    await pool.end()
    // The address may hold a password, so it is not shown.
    throw new PretextError('expected a PostgreSQL server, could not connect to one', {
      code: 'storage',
      hint: 'check the address in the environment variable that federation.postgresUrlEnv names',
      cause: error,
    })
  }
  return database
}

function parameter(value: SqlValue): unknown {
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
}
