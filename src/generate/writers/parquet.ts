// The corpus as Parquet (Snappy; columns text and, where there are labels, label): what the Hub's viewer, pandas and
// datasets read. Row groups go to the file one by one, so memory does not grow with the corpus.
import { ByteWriter, parquetWriteRows } from 'hyparquet-writer'
import { type CorpusRows, checkRows } from './row.ts'
import { type FileOptions, writeWhole } from './whole-file.ts'

/** A small first group shows a preview early; later ones are large enough to compress well. */
const ROW_GROUPS = [1000, 50_000]

/** Writes the rows as they come and returns how many there were. */
export async function writeParquet(
  source: CorpusRows,
  path: string,
  options: FileOptions = {},
): Promise<number> {
  let written = 0
  await writeWhole(
    path,
    async (write) => {
      const { labelled, rows } = await checkRows(source)
      async function* counted(): AsyncGenerator<{ text: string; label?: string | null }> {
        for await (const { text, label } of rows) {
          written++
          yield labelled ? { text, label: label ?? null } : { text }
        }
      }
      const writer = new ByteWriter()
      const flush = async (): Promise<void> => {
        const bytes = writer.getBytes().slice()
        writer.index = 0
        await write(bytes)
      }
      await parquetWriteRows({
        writer: Object.assign(writer, { flush }),
        rows: counted(),
        columns: [
          { name: 'text', type: 'STRING', nullable: false },
          ...(labelled ? [{ name: 'label', type: 'STRING' as const, nullable: true }] : []),
        ],
        rowGroupSize: ROW_GROUPS,
        // Without statistics no text of the corpus is repeated in the footer.
        statistics: false,
      })
      await flush()
    },
    options,
  )
  return written
}
