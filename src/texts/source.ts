// One interface over every format of input: a file becomes rows, good and bad, in order, a few at a time in memory.
import { PretextError } from '../errors.ts'
import { csvRows } from './csv.ts'
import { jsonlRows } from './jsonl.ts'
import { parquetRows } from './parquet.ts'
import { pretextJsonRows } from './pretext-json.ts'
import type { ColumnNames, Row } from './row.ts'

export const TEXT_FORMATS = ['jsonl', 'csv', 'tsv', 'parquet', 'json'] as const
export type TextFormat = (typeof TEXT_FORMATS)[number]

const extensions: Readonly<Record<string, TextFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  csv: 'csv',
  tsv: 'tsv',
  parquet: 'parquet',
  json: 'json',
}

/** The format that a path's ending tells, .gz aside. */
export function formatOfPath(path: string): TextFormat {
  const ending = /\.([a-z0-9]+)(?:\.gz)?$/i.exec(path)?.[1]?.toLowerCase() ?? ''
  const format = Object.hasOwn(extensions, ending) ? extensions[ending] : undefined
  if (format === undefined || (format === 'parquet' && path.endsWith('.gz')))
    throw new PretextError(
      `${path}: expected a file that ends in .jsonl, .csv, .tsv or .json (each also with .gz) or .parquet, got another ending`,
      { code: 'data', hint: `say what it is with format: ${TEXT_FORMATS.join(', ')}` },
    )
  return format
}

/** The rows of one file. */
export function textRows(path: string, format: TextFormat, columns: ColumnNames): AsyncGenerator<Row> {
  switch (format) {
    case 'jsonl':
      return jsonlRows(path, columns)
    case 'csv':
      return csvRows(path, columns, ',')
    case 'tsv':
      return csvRows(path, columns, '\t')
    case 'parquet':
      return parquetRows(path, columns)
    case 'json':
      return pretextJsonRows(path, columns)
  }
}

/** Where a row is: lines can be jumped to; rows of parquet and json are counted. */
export function placeOf(path: string, format: TextFormat, line: number): string {
  return format === 'parquet' || format === 'json' ? `${path}: row ${line}` : `${path}:${line}`
}
