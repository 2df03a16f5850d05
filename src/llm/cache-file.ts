// The file of the request cache: JSON lines, one completion a line, only ever appended to. In memory is where each line
// begins, not its text. A line is on the disk before `append` returns; what a crash tore off is cut away when next opened.
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { storageError } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { Completion } from './model.ts'

/** What a line holds besides its key. */
export type StoredCompletion = Omit<Completion, 'cached'>

export interface CacheFile {
  readonly size: number
  read(key: string): Promise<StoredCompletion | undefined>
  /** Durable once it returns. Throws PretextError `storage`; the file is then as it was before. */
  append(key: string, completion: StoredCompletion): Promise<void>
  close(): Promise<void>
}

interface Waiting {
  readonly key: string
  readonly line: Buffer
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

interface Place {
  readonly offset: number
  readonly bytes: number
}

const HEADER = `${JSON.stringify({ format: 'pretext-llm-cache', version: 1 })}\n`
const NEWLINE = 0x0a

/** Opens or creates it (mode 0600). One process at a time may use it: its run folder is locked. */
export async function openCacheFile(path: string): Promise<CacheFile> {
  let handle: FileHandle | undefined
  try {
    await mkdir(dirname(path), { recursive: true })
    handle = await open(path, 'a+', 0o600)
    const { index, end } = await scan(path)
    await handle.truncate(end)
    if (end === 0) {
      await handle.appendFile(HEADER)
      await handle.datasync()
    }
    return cacheFile(path, handle, index, Math.max(end, HEADER.length))
  } catch (error) {
    await handle?.close()
    throw storageError(error, path)
  }
}

function cacheFile(path: string, handle: FileHandle, index: Map<string, Place>, size: number): CacheFile {
  let end = size
  let waiting: Waiting[] = []
  let writing: Promise<void> | undefined

  /** Writes all that waits in one go, until nothing does: completions that arrive together share one sync. */
  async function flush(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting
      waiting = []
      try {
        await handle.appendFile(Buffer.concat(batch.map(({ line }) => line)))
        await handle.datasync()
      } catch (error) {
        // Half a line in the middle would spoil the next one.
        await handle.truncate(end).catch(() => {})
        for (const { reject } of batch) reject(storageError(error, path))
        continue
      }
      for (const { key, line, resolve } of batch) {
        index.set(key, { offset: end, bytes: line.length })
        end += line.length
        resolve()
      }
    }
    writing = undefined
  }

  return {
    get size() {
      return index.size
    },
    async read(key) {
      const place = index.get(key)
      if (place === undefined) return undefined
      const bytes = Buffer.alloc(place.bytes)
      await handle.read(bytes, 0, place.bytes, place.offset)
      const line = parseLine(bytes.toString('utf8'))
      // Someone changed the file underneath: ask again rather than give a wrong answer.
      return line?.key === key ? line.completion : undefined
    },
    append(key, completion) {
      const line = Buffer.from(`${JSON.stringify({ key, ...completion })}\n`)
      return new Promise((resolve, reject) => {
        waiting.push({ key, line, resolve, reject })
        writing ??= flush()
      })
    },
    async close() {
      await writing
      await handle.close()
    },
  }
}

/** Where every whole line is, and where the last of them ends. A damaged line is skipped: it is asked again. */
async function scan(path: string): Promise<{ readonly index: Map<string, Place>; readonly end: number }> {
  const index = new Map<string, Place>()
  let end = 0
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk as Buffer])
    let from = 0
    for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, from)) {
      const text = bytes.toString('utf8', from, at)
      const length = at + 1 - from
      if (end === 0) checkHeader(path, text)
      else {
        const line = parseLine(text)
        if (line !== undefined) index.set(line.key, { offset: end, bytes: length })
      }
      end += length
      from = at + 1
    }
    rest = bytes.subarray(from)
  }
  // A crash in the very first write leaves a piece of the header; anything else is not ours to cut.
  if (end === 0 && !HEADER.startsWith(rest.toString('utf8'))) checkHeader(path, rest.toString('utf8'))
  return { index, end }
}

function checkHeader(path: string, line: string): void {
  if (`${line}\n` === HEADER) return
  throw new PretextError(`expected ${path} to begin with ${HEADER.trim()}, found another first line`, {
    code: 'storage',
    hint: 'it is not a request cache, or of another version of pretext: move it away to start a new one',
  })
}

function parseLine(
  text: string,
): { readonly key: string; readonly completion: StoredCompletion } | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const line = value as Partial<StoredCompletion & { key: string }> | null
  if (typeof line?.key !== 'string' || typeof line.text !== 'string') return undefined
  if (line.finish !== 'stop' && line.finish !== 'length' && line.finish !== 'filtered') return undefined
  const { key, text: answer, finish, promptTokens = 0, completionTokens = 0 } = line
  return { key, completion: { text: answer, finish, promptTokens, completionTokens } }
}
