// Parquet through hyparquet, one row group at a time and only the columns asked for. Memory grows with the largest row
// group (its bytes and its strings), not with the file.
import { isUtf8 } from 'node:buffer'
import * as zlib from 'node:zlib'
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetScan,
} from 'hyparquet'
import { dataError, fileProblem, fileSize } from './bytes.ts'
import { type ColumnNames, NOT_UTF8, type Row, rowOfCells } from './row.ts'

type Decompress = (bytes: Uint8Array) => Uint8Array

// zlib has zstd from Node 22.15 on.
const zstd = (zlib as { zstdDecompressSync?: Decompress }).zstdDecompressSync

const compressors: Compressors = {
  GZIP: (input) => zlib.gunzipSync(input),
  BROTLI: (input) => zlib.brotliDecompressSync(input),
  ...(zstd ? { ZSTD: (input: Uint8Array) => zstd(input) } : {}),
}
const readable = new Set(['UNCOMPRESSED', 'SNAPPY', ...Object.keys(compressors)])

const text = (bytes: Uint8Array | undefined): unknown =>
  bytes === undefined
    ? undefined
    : isUtf8(bytes)
      ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
      : NOT_UTF8
// JSON columns stay strings: parsing would put their content into an error.
const parsers = { stringFromBytes: text, jsonFromBytes: text }

export async function* parquetRows(path: string, columns: ColumnNames): AsyncGenerator<Row> {
  await fileSize(path)
  const file = await asyncBufferFromFile(path).catch((error: unknown) => {
    throw fileProblem(error, path)
  })
  const metadata = await readMetadata(file, path)
  checkColumns(metadata, columns, path)
  const names = [columns.text, columns.client, columns.label]
  const wanted = names.filter((name) => name !== undefined)
  const scan = await parquetScan({ file, metadata, columns: wanted, compressors, parsers })
  for (const { rowStart, rowEnd } of scan.ranges) {
    const cells: ArrayLike<unknown>[] = []
    try {
      for (const column of names)
        cells.push(column === undefined ? [] : await scan.readColumn({ column, rowStart, rowEnd }))
    } catch {
      throw dataError(
        `${path}: rows ${rowStart + 1} to ${rowEnd}: expected rows that can be read, got damaged or unsupported data`,
        'write the file again, with snappy or without compression',
      )
    }
    const [texts, clients, labels] = cells
    for (let i = 0; i < rowEnd - rowStart; i++)
      yield rowOfCells(rowStart + i + 1, texts?.[i], clients?.[i], labels?.[i], columns)
  }
}

async function readMetadata(file: AsyncBuffer, path: string): Promise<FileMetaData> {
  try {
    return await parquetMetadataAsync(file, { parsers, geoparquet: false })
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code
    if (typeof code === 'string') throw fileProblem(error, path)
    throw dataError(
      `${path}: expected a parquet file, got something else or a torn one`,
      'write the file again',
    )
  }
}

/** Top-level columns of the right kind and a compression that is known, told before the first row is read. */
function checkColumns(metadata: FileMetaData, columns: ColumnNames, path: string): void {
  const present = new Set<string>()
  const codecs = new Set<string>()
  for (const group of metadata.row_groups)
    for (const { meta_data: column } of group.columns) {
      const name = column?.path_in_schema[0]
      if (column === undefined || name === undefined || column.path_in_schema.length !== 1) continue
      present.add(name)
      if (name === columns.text || name === columns.client || name === columns.label) codecs.add(column.codec)
    }
  const wanted = [columns.text, columns.client, columns.label].filter((name) => name !== undefined)
  const missing = wanted.filter((name) => !present.has(name))
  const quoted = (list: readonly string[]): string => list.map((name) => `"${name}"`).join(', ')
  if (metadata.row_groups.length > 0 && missing.length > 0)
    throw dataError(
      `${path}: expected the columns ${quoted(wanted)}, got a file without ${quoted(missing)}`,
      'set the column names in the config as they are in the file',
    )
  for (const codec of codecs)
    if (!readable.has(codec))
      throw dataError(
        `${path}: expected compression snappy, gzip, brotli or none, got ${codec.toLowerCase()}`,
        codec === 'ZSTD'
          ? 'use Node.js 22.15 or later, or write the file with snappy'
          : 'write the file with snappy',
      )
}
