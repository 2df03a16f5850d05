// The JSON of PrE-Text's own data (arXiv 2406.02958, its published code): a flat list of samples (training), or an object
// of lists by client (evaluation). An element is a text, or an object with the configured columns.
import { isUtf8 } from 'node:buffer'
import { fileBytes } from './bytes.ts'
import { jsonElements } from './json-elements.ts'
import { type ColumnNames, clientId, problems, type Row, rowOfObject } from './row.ts'

export async function* pretextJsonRows(path: string, columns: ColumnNames): AsyncGenerator<Row> {
  let row = 0
  let key: Buffer | undefined
  let client: unknown
  for await (const element of jsonElements(fileBytes(path), path)) {
    row++
    if (element.client !== key) {
      key = element.client
      client = key === undefined ? undefined : parsed(key)
    }
    yield rowOfElement(
      row,
      parsed(element.json),
      key === undefined ? undefined : { id: clientId(client) },
      columns,
    )
  }
}

const NOT_JSON = Symbol('not JSON')

function parsed(json: Buffer): unknown {
  if (!isUtf8(json)) return NOT_JSON
  try {
    return JSON.parse(json.toString('utf8'))
  } catch {
    // The error of JSON.parse quotes its input: it ends here.
    return NOT_JSON
  }
}

function rowOfElement(
  line: number,
  value: unknown,
  keyed: { readonly id: string | undefined } | undefined,
  columns: ColumnNames,
): Row {
  if (value === NOT_JSON) return { line, problem: problems.notJson }
  if (keyed !== undefined && keyed.id === undefined)
    return { line, problem: 'expected a list under a non-empty client id, got one under another key' }
  // Under a key, the key is the client, whatever columns the element has.
  const names = keyed === undefined ? columns : { text: columns.text, label: columns.label }
  if (typeof value === 'string' && columns.label === undefined && names.client === undefined)
    return { line, text: value, client: keyed?.id, label: undefined }
  const row = rowOfObject(line, value, names)
  return 'problem' in row || keyed === undefined ? row : { ...row, client: keyed.id }
}
