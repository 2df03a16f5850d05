// A file that somebody picked, read in the page: .txt with one text a line, .jsonl, .csv and .tsv. Problems are told by
// line and never quote the file.
import { parse } from 'csv-parse/browser/esm/sync'
import { rowOfCells, rowOfObject } from '../../../texts/row.ts'
import { type OwnTexts, PretextError } from '../../client/browser.ts'

const LARGEST = 64 * 1024 * 1024

export interface ReadFile {
  /** Columns to choose from; empty for .txt. */
  readonly columns: readonly string[]
  /** The texts of a column, with the labels of another. */
  texts(column: string | undefined, label: string | undefined): { own: OwnTexts; skipped: number }
}

export async function readFile(file: Pick<File, 'name' | 'size' | 'arrayBuffer'>): Promise<ReadFile> {
  if (file.size > LARGEST)
    throw bad('expected a file of at most 64 MB, got a larger one', 'take a part of it')
  const ending = /\.([a-z0-9]+)$/i.exec(file.name)?.[1]?.toLowerCase()
  const content = decoded(await file.arrayBuffer())
  if (ending === 'txt') return lines(content)
  if (ending === 'jsonl' || ending === 'ndjson') return objects(content)
  if (ending === 'csv' || ending === 'tsv') return table(content, ending === 'csv' ? ',' : '\t')
  throw bad('expected a file that ends in .txt, .jsonl, .csv or .tsv, got another', 'save it as one of these')
}

function decoded(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw bad('expected a text file in UTF-8, got other bytes', 'save it as UTF-8')
  }
}

function lines(content: string): ReadFile {
  const texts = content.split(/\r?\n/).filter((line) => line.trim() !== '')
  return { columns: [], texts: () => ({ own: { texts }, skipped: 0 }) }
}

function objects(content: string): ReadFile {
  const values = content.split(/\r?\n/).flatMap((line): unknown[] => {
    if (line.trim() === '') return []
    try {
      return [JSON.parse(line)]
    } catch {
      // Its message would quote the line.
      return [undefined]
    }
  })
  const columns = new Set(
    values
      .slice(0, 100)
      .flatMap((value) =>
        typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [],
      ),
  )
  return {
    columns: [...columns],
    texts: (text = 'text', label) =>
      gathered(
        values.map((value, i) => rowOfObject(i + 1, value, { text, label })),
        label,
      ),
  }
}

function table(content: string, delimiter: string): ReadFile {
  let rows: string[][]
  try {
    rows = parse(content, { delimiter, bom: true, relax_column_count: true, skip_empty_lines: true })
  } catch {
    throw bad(
      'expected a table with quotes around whole fields, got one that is not',
      'write a quote inside a quoted field twice ("")',
    )
  }
  const [header = [], ...body] = rows
  const columns = header.map((name) => name.trim())
  return {
    columns,
    texts: (text = 'text', label) => {
      const at = (name: string | undefined) => (name === undefined ? -1 : columns.indexOf(name))
      return gathered(
        body.map((cells, i) =>
          rowOfCells(i + 2, cells[at(text)], undefined, cells[at(label)], { text, label }),
        ),
        label,
      )
    },
  }
}

function gathered(rows: readonly ReturnType<typeof rowOfObject>[], label: string | undefined) {
  const good = rows.flatMap((row) => ('problem' in row ? [] : [row]))
  const texts = good.map(({ text }) => text)
  const own = label === undefined ? { texts } : { texts, labels: good.map((row) => row.label ?? '') }
  return { own, skipped: rows.length - good.length }
}

function bad(message: string, hint: string): PretextError {
  return new PretextError(message, { code: 'data', hint })
}
