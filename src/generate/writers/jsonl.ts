// The corpus as JSON lines: {"text": ..., "label"?: ...}, LF ends, UTF-8.
import { type CorpusRows, checkRows } from './row.ts'
import { type FileOptions, writeWhole } from './whole-file.ts'

/** Writes the rows as they come and returns how many there were. */
export async function writeJsonl(
  source: CorpusRows,
  path: string,
  options: FileOptions = {},
): Promise<number> {
  let written = 0
  await writeWhole(
    path,
    async (write) => {
      const { rows } = await checkRows(source)
      for await (const row of rows) {
        await write(`${JSON.stringify(row)}\n`)
        written++
      }
    },
    options,
  )
  return written
}
