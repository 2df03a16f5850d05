// A file that is streamed aside and appears under its name when it is whole: a full disk or a crash leaves the old one.
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { storageError } from '../../durable.ts'
import { PretextError } from '../../errors.ts'

export interface FileOptions {
  /** How the file aside is opened; tests put a full disk here. */
  readonly open?: (path: string, flags: string) => Promise<FileHandle>
}

export type Write = (chunk: string | Uint8Array) => Promise<void>

/** Characters that are held before they are handed to the file system. */
const CHUNK = 1 << 20

function refused(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'EEXIST') {
    const reason = code === 'EISDIR' ? 'a folder has this name' : 'a part of its path is a file, not a folder'
    return new PretextError(`could not write ${path}: ${reason}`, {
      code: 'storage',
      hint: 'Choose another name.',
      cause: error,
    })
  }
  return storageError(error, path)
}

/** Writes `path` by the calls that `body` makes. If it throws, nothing is left and an old file stays as it was. */
export async function writeWhole(
  path: string,
  body: (write: Write) => Promise<void>,
  options: FileOptions = {},
): Promise<void> {
  const aside = `${path}.${process.pid}.part`
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await (options.open ?? open)(aside, 'w')
    try {
      let held = ''
      const flush = async (): Promise<void> => {
        const text = held
        held = ''
        // writeFile and not write: it goes on after a short write.
        if (text !== '') await handle.writeFile(text)
      }
      await body(async (chunk) => {
        if (typeof chunk === 'string') {
          held += chunk
          if (held.length >= CHUNK) await flush()
        } else {
          await flush()
          await handle.writeFile(chunk)
        }
      })
      await flush()
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(aside, path)
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {})
    throw refused(error, path)
  }
}
