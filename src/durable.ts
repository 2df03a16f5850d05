// Files that survive a crash: written aside, synced, renamed; lines appended and synced. A name is either absent or whole.
import { type FileHandle, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { PretextError } from './errors.ts'

/** Turns the file system's refusals into one clear error; anything else is passed on. */
export function storageError(error: unknown, path: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  const reasons: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    EFBIG: 'the file would be larger than the system allows',
    EACCES: 'permission was denied',
    EPERM: 'permission was denied',
    EROFS: 'the file system is read-only',
    EIO: 'the disk reported an input/output error',
  }
  const reason = code === undefined ? undefined : reasons[code]
  if (reason === undefined) return error
  return new PretextError(`could not write ${path}: ${reason}`, {
    code: 'storage',
    hint: 'make room or choose another folder, then run again with --resume; nothing that was finished is lost',
    cause: error,
  })
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; its rename is durable without it.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes `path` and returns once it is on the disk; after a crash it may be torn. */
export async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    let handle: FileHandle | undefined
    try {
      handle = await open(path, 'w', 0o600)
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle?.close()
    }
  } catch (error) {
    throw storageError(error, path)
  }
}

/** Replaces `path` by `content` in one step: readers see the old bytes or the new ones, also after a crash. */
export async function writeDurable(path: string, content: string | Uint8Array): Promise<void> {
  const aside = `${path}.${process.pid}.part`
  try {
    await writeSynced(aside, content)
    await publish(aside, path)
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {})
    // The name that the user knows, not the one that it is written under.
    throw error instanceof PretextError ? storageError(error.cause, path) : error
  }
}

/** Appends `line` and a newline, and returns once both are on the disk. */
export async function appendDurable(path: string, line: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    const handle = await open(path, 'a', 0o600)
    try {
      await handle.appendFile(`${line}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw storageError(error, path)
  }
}

/** Cuts a file to its first `bytes` bytes, durably: what a crash left of a line goes. */
export async function truncateDurable(path: string, bytes: number): Promise<void> {
  try {
    const handle = await open(path, 'r+')
    try {
      await handle.truncate(bytes)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw storageError(error, path)
  }
}

/** Gives a file that was written aside its name, durably. */
export async function publish(aside: string, path: string): Promise<void> {
  try {
    await rename(aside, path)
    await syncFolder(dirname(path))
  } catch (error) {
    throw storageError(error, path)
  }
}

/** The text of a file, or undefined where there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
