// An input file as chunks of bytes: plain or gzip, without a byte order mark. Says what is wrong with a file in words of
// its own: messages of the system and of zlib are not passed on.
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { PretextError } from '../errors.ts'

const CHUNK_BYTES = 1024 * 1024

export function dataError(message: string, hint: string): PretextError {
  return new PretextError(message, { code: 'data', hint })
}

/** What went wrong with opening or reading a file, from the error's code alone. */
export function fileProblem(error: unknown, path: string): PretextError {
  if (error instanceof PretextError) return error
  const code = (error as { code?: unknown } | null)?.code
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return dataError(
        `${path}: expected a file, got nothing there`,
        'check the path; it starts from the current folder',
      )
    case 'EISDIR':
      return dataError(`${path}: expected a file, got a folder`, 'name the file, or a list of files')
    case 'EACCES':
    case 'EPERM':
      return dataError(
        `${path}: expected a file that can be read, got one without permission`,
        'give the user that runs pretext the right to read it',
      )
    case 'Z_BUF_ERROR':
      return dataError(
        `${path}: expected a whole gzip file, got one that ends early`,
        'copy or compress the file again',
      )
    case 'Z_DATA_ERROR':
      return dataError(
        `${path}: expected a gzip file, got damaged or other data`,
        'copy or compress the file again',
      )
    default:
      return dataError(
        `${path}: the file could not be read${typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code) ? ` (${code})` : ''}`,
        'check the disk and the file',
      )
  }
}

/** Size in bytes; fails where there is no file or an empty one. */
export async function fileSize(path: string): Promise<number> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileProblem(error, path)
  })
  if (found.isDirectory()) throw fileProblem({ code: 'EISDIR' }, path)
  if (found.isFile() && found.size === 0) throw emptyFile(path)
  return found.size
}

export function emptyFile(path: string): PretextError {
  return dataError(`${path}: expected rows with texts, got an empty file`, 'check what wrote the file')
}

/** The bytes of a file in order, unpacked where the name ends in .gz, without a UTF-8 byte order mark. */
export async function* fileBytes(path: string): AsyncGenerator<Buffer> {
  await fileSize(path)
  const raw = createReadStream(path, { highWaterMark: CHUNK_BYTES })
  const stream: Readable = path.endsWith('.gz')
    ? // The callback is only there because pipeline wants one: an error also ends the iteration below.
      pipeline(raw, createGunzip({ chunkSize: CHUNK_BYTES }), () => {})
    : raw
  try {
    let head: Buffer | undefined = Buffer.alloc(0)
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (head === undefined) {
        yield chunk
        continue
      }
      head = Buffer.concat([head, chunk])
      if (head.length < 3) continue
      yield withoutMark(head, path)
      head = undefined
    }
    if (head !== undefined && head.length > 0) yield withoutMark(head, path)
  } catch (error) {
    throw fileProblem(error, path)
  } finally {
    raw.destroy()
    stream.destroy()
  }
}

function withoutMark(head: Buffer, path: string): Buffer {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return head.subarray(3)
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0xfe && head[1] === 0xff))
    throw dataError(`${path}: expected UTF-8, got UTF-16`, 'save the file as UTF-8')
  return head
}
