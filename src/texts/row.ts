// One row of an input file, before grouping: its text, or why it has none. A problem is made of fixed words, the column
// names of the config and the kind of a value, never of anything found in the file, because what is found is private.

/** The columns to read, as the config names them. */
export interface ColumnNames {
  readonly text: string
  readonly client?: string | undefined
  readonly label?: string | undefined
}

export interface TextRow {
  /** 1-based line (jsonl, csv, tsv) or row (parquet, json). */
  readonly line: number
  readonly text: string
  readonly client: string | undefined
  readonly label: string | undefined
}

interface BadRow {
  readonly line: number
  readonly problem: string
}

export type Row = TextRow | BadRow

/** What a cell holds when its bytes are not UTF-8. */
export const NOT_UTF8 = Symbol('not UTF-8')

export const problems = {
  notUtf8: 'expected UTF-8, got bytes that are not UTF-8',
  notJson: 'expected a JSON value, got something that is not valid JSON',
  tooLong: 'expected at most 16 MB, got a longer row',
} as const

/** A row longer than this is a missing line break or an unclosed quote, not a text. */
export const MAX_ROW_BYTES = 16 * 1024 * 1024

/** The kind of a value in words, without the value. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (value === NOT_UTF8) return 'bytes that are not UTF-8'
  if (Array.isArray(value)) return 'a list'
  const kind = typeof value
  if (kind === 'boolean') return 'true or false'
  if (kind === 'string') return value === '' ? 'an empty string' : 'a string'
  if (kind === 'number' || kind === 'bigint') return 'a number'
  return 'an object'
}

/** A JSON object with the configured columns, as found in jsonl and json files. */
export function rowOfObject(line: number, value: unknown, columns: ColumnNames): Row {
  const expected = `expected a JSON object with a string in "${columns.text}"`
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { line, problem: `${expected}, got ${kindOf(value)}` }
  const cell = (name: string | undefined): unknown =>
    name !== undefined && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  const text = cell(columns.text)
  if (text === undefined) return { line, problem: `${expected}, got an object without it` }
  if (typeof text !== 'string') return { line, problem: `${expected}, got ${kindOf(text)} in it` }
  return rowOfCells(line, text, cell(columns.client), cell(columns.label), columns)
}

/** The cells of one row, whatever format they came from. */
export function rowOfCells(
  line: number,
  text: unknown,
  client: unknown,
  label: unknown,
  columns: ColumnNames,
): Row {
  if (typeof text !== 'string')
    return { line, problem: `expected a string in "${columns.text}", got ${kindOf(text)}` }
  let id: string | undefined
  if (columns.client !== undefined) {
    id = clientId(client)
    if (id === undefined) {
      const inexact = typeof client === 'number' && Number.isInteger(client)
      const came = inexact ? 'a number too large to be exact' : blankOr(client)
      return {
        line,
        problem: `expected a client id (a non-empty string or an integer) in "${columns.client}", got ${came}`,
      }
    }
  }
  if (label === NOT_UTF8)
    return { line, problem: `expected a string in "${columns.label}", got ${kindOf(label)}` }
  return { line, text, client: id, label: labelOf(label) }
}

const blankOr = (value: unknown): string => (typeof value === 'string' ? 'an empty string' : kindOf(value))

/** Trimmed, so that "7" and "7 " are one client: the bound holds for the person, not for the spelling. */
export function clientId(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim() === '' ? undefined : value.trim()
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return String(value)
  return undefined
}

function labelOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value.trim()
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value)
  return undefined
}
