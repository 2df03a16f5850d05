// A finished run, read back: its report and its corpus.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { PretextError } from '../errors.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import type { RunReport } from '../report/data.ts'
import { readReport } from '../report/json.ts'

/** Throws PretextError `usage` where the folder holds no finished run. */
export async function readRunReport(folder: string): Promise<RunReport> {
  const file = join(folder, 'report.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new PretextError(`${folder}: expected a finished run, found none`, {
      code: 'usage',
      hint: '"pretext runs" lists runs; unfinished ones go on with "pretext generate CONFIG --resume"',
      cause: error,
    })
  }
  return readReport(text, file)
}

export function readCorpus(folder: string): Promise<CorpusRow[]> {
  return readRows(join(folder, 'synthetic.jsonl'))
}

/** Rows that `expand` wrote. */
export async function readRows(file: string): Promise<CorpusRow[]> {
  const text = await readFile(file, 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as CorpusRow)
}

/** The config that a run was made with, as resolved when it began. */
export async function readRunConfig(folder: string): Promise<Config> {
  const file = join(folder, 'config.yaml')
  return parseConfig(await readFile(file, 'utf8'), file).config
}
