// A Hugging Face dataset as a folder: README.md (the card) and data/train.parquet, ready to be loaded or uploaded.
import { join } from 'node:path'
import { type CardOptions, renderCard } from '../../report/card.ts'
import type { RunReport } from '../../report/data.ts'
import { writeParquet } from './parquet.ts'
import type { CorpusRows } from './row.ts'
import { type FileOptions, writeWhole } from './whole-file.ts'

const DATA_FILE = 'data/train.parquet'

/** The files of the folder, by their path in it. */
export const DATASET_FILES = ['README.md', DATA_FILE] as const

export interface DatasetOptions extends FileOptions {
  readonly report: RunReport
  readonly card?: CardOptions
}

/** Writes the folder and returns the number of rows. The card goes last: where it is, the data is whole. */
export async function writeDataset(
  source: CorpusRows,
  folder: string,
  options: DatasetOptions,
): Promise<number> {
  const rows = await writeParquet(source, join(folder, DATA_FILE), options)
  const card = renderCard(options.report, { ...options.card, dataFile: DATA_FILE })
  await writeWhole(join(folder, 'README.md'), (write) => write(card), options)
  return rows
}
