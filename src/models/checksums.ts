// sha256 of files, remembered. Hashing 100 MB at every start is wasteful, so a record of (size, mtime, inode, sha256)
// is kept, and a file is hashed again only if one of the first three changed.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, realpath, stat } from 'node:fs/promises'
import { z } from 'zod'
import { writeDurable } from '../durable.ts'

const FORMAT = 'pretext-checksums'
const record = z.object({ size: z.string(), mtimeNs: z.string(), inode: z.string(), sha256: z.string() })
const recordsFile = z.object({
  format: z.literal(FORMAT),
  version: z.literal(1),
  files: z.record(z.string(), record),
})
type Records = Record<string, z.infer<typeof record>>

interface Checksum {
  readonly bytes: number
  readonly sha256: string
}

export interface Checksums {
  /** Undefined where there is no such file. */
  of(path: string): Promise<Checksum | undefined>
}

export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

async function fingerprint(path: string) {
  try {
    const found = await stat(path, { bigint: true })
    if (!found.isFile()) return undefined
    return { size: `${found.size}`, mtimeNs: `${found.mtimeNs}`, inode: `${found.ino}` }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}

/** Additions of one process, one after the other: each reads the file, adds its line and replaces the file. */
let adding: Promise<void> = Promise.resolve()

/** `hash` is an argument so that a test can count how often it is called. */
export function openChecksums(recordsPath: string, hash: typeof hashFile = hashFile): Checksums {
  async function read(): Promise<Records> {
    try {
      return recordsFile.parse(JSON.parse(await readFile(recordsPath, 'utf8'))).files
    } catch {
      // Missing or damaged: the price is one hash, never a wrong answer.
      return {}
    }
  }

  async function add(key: string, line: Records[string]): Promise<void> {
    const files = { ...(await read()), [key]: line }
    const content = `${JSON.stringify({ format: FORMAT, version: 1, files }, null, 1)}\n`
    // A cache folder that cannot be written costs a hash at every start, not the start itself.
    await writeDurable(recordsPath, content).catch(() => {})
  }

  async function of(path: string): Promise<Checksum | undefined> {
    const before = await fingerprint(path)
    if (before === undefined) return undefined
    const key = await realpath(path)
    const known = (await read())[key]
    const same = (other: typeof before | undefined) =>
      other?.size === before.size && other.mtimeNs === before.mtimeNs && other.inode === before.inode
    if (known !== undefined && same(known)) return { bytes: Number(before.size), sha256: known.sha256 }
    const sha256 = await hash(path)
    // A file that changed while it was read is not remembered.
    if (same(await fingerprint(path))) {
      adding = adding.then(() => add(key, { ...before, sha256 }))
      await adding
    }
    return { bytes: Number(before.size), sha256 }
  }

  return { of }
}
