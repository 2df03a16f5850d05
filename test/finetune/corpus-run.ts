// A folder that looks like a finished run to whoever trains on it: report.json and synthetic.jsonl.
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
}

export async function corpusRun(folder: string, options: RunFolderOptions = {}): Promise<string> {
  const { id = 'run-one', texts = 40, epsilon = 7.58, simulation = false, extra = 0 } = options
  await mkdir(folder, { recursive: true })
  const example = exampleReport()
  const rows = Array.from({ length: texts + extra }, (_, i) => ({
    text: sentence(i, id),
    ...options.row?.(i),
  }))
  const report: RunReport = {
    ...example,
    run: { ...example.run, id },
    simulation,
    privacy: { ...example.privacy, epsilon },
    llm: { ...example.llm, id: options.llm ?? 'scripted:scripted' },
    corpus: { ...example.corpus, texts, samples: rows.slice(0, 3).map(({ text }) => ({ text })) },
  }
  await writeFile(join(folder, 'report.json'), reportJson(report))
  await writeFile(join(folder, 'synthetic.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  return folder
}
