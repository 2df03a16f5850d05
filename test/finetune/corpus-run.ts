// A folder that looks like a finished run to whoever trains on it: report.json and synthetic.jsonl.
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { RunReport } from '../../src/report/data.ts'
import { reportJson } from '../../src/report/json.ts'
import { exampleReport } from '../report/example.ts'
import { sentence } from '../run/workspace.ts'

export interface RunFolderOptions {
  readonly id?: string
  readonly texts?: number
  readonly epsilon?: number
  readonly simulation?: boolean
  readonly llm?: string
  /** Rows that the report does not know of. */
  readonly extra?: number
  /** What each row says of itself. */
  readonly row?: (i: number) => Record<string, unknown>
  /** False for a report of before it knew the bytes of its corpus. */
  readonly hashed?: boolean
}

export async function corpusRun(folder: string, options: RunFolderOptions = {}): Promise<string> {
  const { id = 'run-one', texts = 40, epsilon = 7.58, simulation = false, extra = 0, hashed = true } = options
  await mkdir(folder, { recursive: true })
  const example = exampleReport()
  const rows = Array.from({ length: texts + extra }, (_, i) => ({
    text: sentence(i, id),
    ...options.row?.(i),
  }))
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`)
  const own = createHash('sha256').update(lines.slice(0, texts).join('')).digest('hex')
  const report: RunReport = {
    ...example,
    run: { ...example.run, id },
    simulation,
    privacy: { ...example.privacy, epsilon },
    llm: { ...example.llm, id: options.llm ?? 'scripted:scripted' },
    corpus: {
      ...example.corpus,
      texts,
      samples: rows.slice(0, 3).map(({ text }) => ({ text })),
      ...(hashed ? { sha256: { 'synthetic.jsonl': own } } : {}),
    },
  }
  await writeFile(join(folder, 'report.json'), reportJson(report))
  await writeFile(join(folder, 'synthetic.jsonl'), lines.join(''))
  return folder
}
