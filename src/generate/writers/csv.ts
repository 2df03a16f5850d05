// The corpus as CSV by RFC 4180: a header, CRLF ends, quotes around every text, quotes doubled inside, UTF-8.
// Texts are written exactly as they are, because they are training data. A spreadsheet takes a cell that begins with
// =, +, - or @ for a formula, and a language model may well have written one: for people who open the file in a
// spreadsheet, `spreadsheetSafe` puts an apostrophe before such a text, which changes it.
import { type CorpusRows, checkRows } from './row.ts'
import { type FileOptions, writeWhole } from './whole-file.ts'

export interface CsvOptions extends FileOptions {
  /** Puts an apostrophe before texts and labels that a spreadsheet would run. Off by default: it changes them. */
  readonly spreadsheetSafe?: boolean
}

function cell(text: string, safe: boolean): string {
  // Tab, carriage return and line feed are skipped by some programs before they look for the sign.
  const shown = safe && /^[\t\r\n ]*[=+\-@\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text
  return `"${shown.replace(/"/g, '""')}"`
}

/** Writes the rows as they come and returns how many there were. A row without a label gets an empty cell. */
export async function writeCsv(source: CorpusRows, path: string, options: CsvOptions = {}): Promise<number> {
  const safe = options.spreadsheetSafe ?? false
  let written = 0
  await writeWhole(
    path,
    async (write) => {
      const { labelled, rows } = await checkRows(source)
      await write(labelled ? 'text,label\r\n' : 'text\r\n')
      for await (const { text, label } of rows) {
        const second = labelled ? `,${label === undefined ? '' : cell(label, safe)}` : ''
        await write(`${cell(text, safe)}${second}\r\n`)
        written++
      }
    },
    options,
  )
  return written
}
