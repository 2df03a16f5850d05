// The corpus in the form that another tool wants: one door to all writers.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { writeFineTune } from '../finetune/openai-dataset.ts'
import { writeCsv } from '../generate/writers/csv.ts'
import { DATASET_FILES, writeDataset } from '../generate/writers/dataset-folder.ts'
import { type HubOptions, uploadDataset } from '../generate/writers/hub.ts'
import { writeJsonl } from '../generate/writers/jsonl.ts'
import { writeParquet } from '../generate/writers/parquet.ts'
import type { CorpusRows } from '../generate/writers/row.ts'
import { type FileOptions, writeWhole } from '../generate/writers/whole-file.ts'
import type { CardOptions } from '../report/card.ts'
import type { RunReport } from '../report/data.ts'
import { SIMULATION_BANNER } from '../report/privacy-statement.ts'

/** `dataset` is a Hugging Face dataset folder; `hub` uploads one. */
export type ExportFormat = 'jsonl' | 'csv' | 'parquet' | 'openai' | 'dataset' | 'hub'

export interface ExportOptions extends FileOptions, HubOptions {
  /** Of the run that made the corpus: it fills the card, and says whether it was a simulation. */
  readonly report: RunReport
  readonly card?: CardOptions
  /** openai: the user's turn before each text; needed there. */
  readonly instruction?: string
  /** csv: protects people who open the file in a spreadsheet; changes texts. */
  readonly spreadsheetSafe?: boolean
  readonly onEvent?: OnEvent
}

/** Writes or uploads the corpus and returns where it is: the path, or the address on the Hub. */
export async function exportCorpus(
  rows: CorpusRows,
  format: ExportFormat,
  target: string,
  options: ExportOptions,
): Promise<string> {
  const where = await exported(rows, format, target, options)
  ;(options.onEvent ?? ignoreEvents)({ type: 'artefact', kind: format, path: where })
  return where
}

async function exported(
  rows: CorpusRows,
  format: ExportFormat,
  target: string,
  options: ExportOptions,
): Promise<string> {
  if (format === 'dataset') {
    await writeDataset(rows, target, options)
    return target
  }
  if (format === 'hub') {
    const folder = await mkdtemp(join(tmpdir(), 'pretext-hub-'))
    try {
      await writeDataset(rows, folder, options)
      return await uploadDataset(folder, DATASET_FILES, target, options)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  await mark(target, options)
  await FILE_WRITERS[format](rows, target, options)
  await unmark(target, options)
  return target
}

type FileWriter = (rows: CorpusRows, target: string, options: ExportOptions) => Promise<number>

const FILE_WRITERS: Readonly<Record<Exclude<ExportFormat, 'dataset' | 'hub'>, FileWriter>> = {
  jsonl: writeJsonl,
  csv: writeCsv,
  parquet: writeParquet,
  openai(rows, target, options) {
    const { instruction } = options
    if (instruction === undefined) {
      throw new PretextError('expected an instruction for the user turn of each example, got none', {
        code: 'usage',
        hint: 'For example: --instruction "Write a short product review."',
      })
    }
    return writeFineTune(rows, target, { ...options, instruction })
  },
}

/** The banner of formats that have no place for one inside: it lies beside the file, from before the file is there. */
async function mark(target: string, options: ExportOptions): Promise<void> {
  if (options.report.simulation) {
    await writeWhole(besides(target), (write) => write(`${SIMULATION_BANNER}\n`), options)
  }
}

/** A real corpus in place of a simulated one takes its banner away, after it has taken its place. */
async function unmark(target: string, options: ExportOptions): Promise<void> {
  if (!options.report.simulation) await rm(besides(target), { force: true })
}

function besides(target: string): string {
  return `${target}.SIMULATION.txt`
}
