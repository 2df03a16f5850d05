// Rows as a JSONL file for a test.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export async function writeJsonl(folder: string, name: string, rows: readonly object[]): Promise<string> {
  const file = join(folder, name)
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return file
}
