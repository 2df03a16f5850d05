// The little that the store asks of a database: atomic, durable batches of statements, and reads. Parameters are written
// as `?` in order.

export type SqlValue = string | number | null | Uint8Array
export type SqlRow = Readonly<Record<string, unknown>>

export interface SqlStatement {
  readonly sql: string
  readonly args?: readonly SqlValue[]
}

export interface SqlDatabase {
  readonly kind: 'embedded' | 'postgres'
  readonly bytesType: 'BLOB' | 'BYTEA'
  /** All statements or none of them, durable when it returns; the rows that each gave. */
  write(statements: readonly SqlStatement[]): Promise<SqlRow[][]>
  read(sql: string, args?: readonly SqlValue[]): Promise<SqlRow[]>
  /** Overwrites on the disk what was deleted, where that is in this program's hands. */
  scrub?(): Promise<void>
  close(): Promise<void>
}

export function bytesOf(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  if (value instanceof Uint8Array) return new Uint8Array(value)
  throw new TypeError('expected bytes from the database')
}
