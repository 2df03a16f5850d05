// CSV and TSV with a header row (RFC 4180: quoted fields may hold line breaks), through csv-parse. Cells stay bytes
// until they are known to be UTF-8. The header is never quoted: where it is missing, the first row is a private text.
import { isUtf8 } from 'node:buffer'
import { Readable } from 'node:stream'
import { parse } from 'csv-parse'
import type { PretextError } from '../errors.ts'
import { dataError, fileBytes, fileProblem } from './bytes.ts'
import { type ColumnNames, MAX_ROW_BYTES, NOT_UTF8, type Row, rowOfCells } from './row.ts'

interface CsvRecord {
  readonly record: Buffer[]
  /** `lines`: line of the row's end. `empty_lines`: blank lines passed over so far. */
  readonly info: { readonly lines: number; readonly empty_lines: number }
}

export async function* csvRows(path: string, columns: ColumnNames, delimiter: string): AsyncGenerator<Row> {
  const parser = parse({
    delimiter,
    encoding: null,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_ROW_BYTES,
    // Not to skip them, but to get the rows before the first error, and its line.
    skip_records_with_error: true,
  })
  let broken: { readonly code: string; readonly lines: number } | undefined
  parser.on('skip', (error) => {
    broken ??= { code: String(error?.code), lines: Number(error?.lines) }
  })
  const bytes = Readable.from(fileBytes(path), { objectMode: true })
  bytes.on('error', (error) => parser.destroy(error))
  bytes.pipe(parser)

  let header: Header | undefined
  let lastLine = 0
  let blank = 0
  let overcount = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<CsvRecord>) {
      // After a broken quote the parser cannot know where rows begin: nothing that follows is a row.
      if (broken !== undefined && info.lines >= broken.lines) break
      const line = lastLine + 1 + info.empty_lines - blank
      if (info.lines - overcount > line) overcount += windowsBreaks(record)
      lastLine = info.lines - overcount
      blank = info.empty_lines
      if (header === undefined) header = readHeader(record, columns, path)
      else if (record.length !== header.width)
        yield { line, problem: `expected ${header.width} columns as in the header, got ${record.length}` }
      else
        yield rowOfCells(
          line,
          cellAt(record, header.text),
          cellAt(record, header.client),
          cellAt(record, header.label),
          columns,
        )
    }
  } catch (error) {
    throw fileProblem(error, path)
  } finally {
    bytes.destroy()
    parser.destroy()
  }
  if (broken !== undefined) throw brokenQuote(path, broken.code, broken.lines - overcount, lastLine + 1)
}

interface Header {
  readonly width: number
  readonly text: number
  readonly client: number
  readonly label: number
}

function readHeader(record: readonly Buffer[], columns: ColumnNames, path: string): Header {
  const names = record.map((cell) => cell.toString('utf8').trim())
  const wanted = [columns.text, columns.client, columns.label].filter((name) => name !== undefined)
  const missing = wanted.filter((name) => !names.includes(name))
  const quoted = (list: readonly string[]): string => list.map((name) => `"${name}"`).join(', ')
  if (missing.length > 0)
    throw dataError(
      `${path}:1: expected a header row with ${quoted(wanted)}, got one without ${quoted(missing)}`,
      'set the column names in the config as they are in the header, or add a header row; .tsv is for tabs',
    )
  const twice = wanted.filter((name) => names.indexOf(name) !== names.lastIndexOf(name))
  if (twice.length > 0)
    throw dataError(
      `${path}:1: expected each column once, got ${quoted(twice)} twice`,
      'rename one of the columns',
    )
  const at = (name: string | undefined): number => (name === undefined ? -1 : names.indexOf(name))
  return { width: names.length, text: at(columns.text), client: at(columns.client), label: at(columns.label) }
}

function cellAt(record: readonly Buffer[], index: number): unknown {
  const cell = record[index]
  if (cell === undefined) return undefined
  return isUtf8(cell) ? cell.toString('utf8') : NOT_UTF8
}

/** csv-parse counts a Windows line break inside quotes as two lines. */
function windowsBreaks(record: readonly Buffer[]): number {
  let breaks = 0
  for (const cell of record)
    for (let at = cell.indexOf('\r\n'); at !== -1; at = cell.indexOf('\r\n', at + 2)) breaks++
  return breaks
}

/** csv-parse quotes the row in its message: only its code and line are used. */
function brokenQuote(path: string, code: string, quoteLine: number, rowLine: number): PretextError {
  if (code === 'CSV_QUOTE_NOT_CLOSED' || code === 'CSV_MAX_RECORD_SIZE')
    return dataError(
      `${path}:${rowLine}: expected a row of at most 16 MB, got a quote that is never closed or a longer row`,
      'close the quote; a quote inside a quoted field is written twice ("")',
    )
  return dataError(
    `${path}:${quoteLine}: expected quotes around whole fields only, got a quote inside one`,
    'put the field in quotes and write each quote inside it twice ("")',
  )
}
