// JSON Lines: one JSON object a line. Lines are split as bytes, so that a bad line costs that line only.
import { isUtf8 } from 'node:buffer'
import { fileBytes } from './bytes.ts'
import { type ColumnNames, MAX_ROW_BYTES, problems, type Row, rowOfObject } from './row.ts'

const NEWLINE = 0x0a

export async function* jsonlRows(path: string, columns: ColumnNames): AsyncGenerator<Row> {
  let line = 0
  for await (const bytes of fileLines(path)) {
    line++
    if (bytes === 'too long') yield { line, problem: problems.tooLong }
    else if (!isUtf8(bytes)) yield { line, problem: problems.notUtf8 }
    else {
      const json = bytes.toString('utf8')
      if (json.trim() !== '') yield rowOfJson(line, json, columns)
    }
  }
}

function rowOfJson(line: number, json: string, columns: ColumnNames): Row {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch {
    // The error of JSON.parse quotes its input: it ends here.
    return { line, problem: problems.notJson }
  }
  return rowOfObject(line, value, columns)
}

/** The lines of a file, without their end; a line beyond the limit is passed over and told as such. */
async function* fileLines(path: string): AsyncGenerator<Buffer | 'too long'> {
  let parts: Buffer[] = []
  let held = 0
  const take = (last: Buffer): Buffer | 'too long' => {
    const line =
      held + last.length > MAX_ROW_BYTES ? 'too long' : held === 0 ? last : Buffer.concat([...parts, last])
    parts = []
    held = 0
    return line
  }
  for await (const chunk of fileBytes(path)) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      yield take(chunk.subarray(start, end))
      start = end + 1
    }
    const rest = chunk.subarray(start)
    held += rest.length
    if (held > MAX_ROW_BYTES) parts = []
    else parts.push(rest)
  }
  if (held > 0) yield take(Buffer.alloc(0))
}
