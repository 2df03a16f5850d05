// Writes the same rows in every format, so that one suite can hold all readers to one promise.
import { mkdtempSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll } from 'vitest'

export interface WrittenRow {
  readonly text: string
  readonly client: string
  readonly label: string
}

const root = mkdtempSync(join(tmpdir(), 'pretext-texts-'))
afterAll(() => rm(root, { recursive: true }))

/** A folder that goes away with the tests of its file. */
export const newFolder = (): Promise<string> => mkdtemp(join(root, 'case-'))

export async function writeBytes(folder: string, name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}

const quoted = (cell: string): string => `"${cell.replaceAll('"', '""')}"`
const separated = (rows: readonly WrittenRow[], separator: string, end: string): string =>
  ['id', 'text', 'client', 'label'].join(separator) +
  end +
  rows
    .map((r, i) => [String(i), quoted(r.text), quoted(r.client), quoted(r.label)].join(separator) + end)
    .join('')
const jsonl = (rows: readonly WrittenRow[], end = '\n'): string =>
  rows.map((r) => JSON.stringify(r) + end).join('')
const parquet = (rows: readonly WrittenRow[]): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      rowGroupSize: 3,
      columnData: (['text', 'client', 'label'] as const).map((name) => ({
        name,
        data: rows.map((r) => r[name]),
        type: 'STRING',
      })),
    }),
  )
const BOM = '\uFEFF'

/** Each way in which a file may come, by the name of the file it makes. */
export const writers: Readonly<Record<string, (rows: readonly WrittenRow[]) => string | Uint8Array>> = {
  'rows.jsonl': (rows) => jsonl(rows),
  'rows.ndjson': (rows) => jsonl(rows, '\n\n').trimEnd(),
  'crlf.jsonl': (rows) => BOM + jsonl(rows, '\r\n'),
  'rows.jsonl.gz': (rows) => gzipSync(jsonl(rows)),
  'rows.csv': (rows) => separated(rows, ',', '\n'),
  'crlf.csv': (rows) => BOM + separated(rows, ',', '\r\n'),
  'rows.csv.gz': (rows) => gzipSync(separated(rows, ',', '\n')),
  'rows.tsv': (rows) => separated(rows, '\t', '\n'),
  'rows.parquet': parquet,
  'rows.json': (rows) => JSON.stringify(rows, undefined, 2),
  'rows.json.gz': (rows) => gzipSync(BOM + JSON.stringify(rows)),
}
