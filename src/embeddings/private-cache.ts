// An optional cache of private embeddings, for owners who run on the same texts many times. An embedding gives away much of
// its text, so the file is as private as the texts: mode 0600, outside the run folder, and its records are found by a keyed
// hash (HMAC-SHA256, RFC 2104, under a random key kept in the same file) of embedder identity and text. A plain hash would
// let anybody who sees the file test guesses of a text; the key is there so that a record cut out of it tells nothing.
//
// Each text is embedded in a call of its own, so that a cached embedding depends on no other text and on no other client.
import { createHmac, randomBytes } from 'node:crypto'
import { mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { takeLock } from '../lock.ts'
import type { Embedder } from './embedder.ts'
import { matrix, row } from './matrix.ts'

const MAGIC = Buffer.from('pretext-private-embeddings 1\n')
const KEY_BYTES = 32
const HASH_BYTES = 32

interface Content {
  readonly key: Buffer
  /** Embeddings by the keyed hash, in hex. */
  readonly records: Map<string, Float32Array>
}

export interface PrivateCache {
  /** Embeds what the cache does not hold. */
  readonly embedder: Embedder
  /** Adds what was embedded to the file. */
  save(): Promise<void>
}

/**
 * Opens the cache at `path`, which need not exist. Throws PretextError `config` if it lies inside one of `outside` (folders
 * that are shown to others), and `data` if others may read it or it is something else.
 */
export async function openPrivateCache(
  path: string,
  embedder: Embedder,
  outside: readonly string[],
): Promise<PrivateCache> {
  const file = await realPath(path)
  for (const folder of outside) {
    const way = relative(await realPath(folder), file)
    if (way.startsWith('..')) continue
    throw new PretextError(`privacy.embeddingCache: expected a path outside ${folder}, got ${path}`, {
      code: 'config',
      hint: 'private embeddings are as private as the texts; runs are made to be shown',
    })
  }
  const { key, records } = (await read(file)) ?? { key: randomBytes(KEY_BYTES), records: new Map() }
  const identity = JSON.stringify(Object.entries(embedder.identity).sort())
  const added = new Map<string, Float32Array>()
  const nameOf = (text: string): string =>
    createHmac('sha256', key).update(identity).update('\0').update(text).digest('hex')

  return {
    embedder: {
      ...embedder,
      async embed(texts, options) {
        const out = matrix(texts.length, embedder.identity.dim)
        for (const [i, text] of texts.entries()) {
          const name = nameOf(text)
          const known = records.get(name) ?? added.get(name)
          const values = known ?? row(await embedder.embed([text], options), 0)
          if (known === undefined) added.set(name, Float32Array.from(values))
          row(out, i).set(values)
        }
        return out
      },
    },
    async save() {
      if (added.size === 0) return
      // Before the lock, which would make the folder for everybody to read.
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      const unlock = await takeLock(dirname(file), basename(file))
      try {
        // Another run may have written meanwhile; under another key its records are the ones to keep.
        const now = await read(file)
        if (now !== undefined && !now.key.equals(key)) return
        await writeDurable(file, encode({ key, records: new Map([...(now?.records ?? []), ...added]) }))
      } finally {
        await unlock()
      }
    },
  }
}

function encode({ key, records }: Content): Buffer {
  const parts = [MAGIC, key]
  for (const [name, values] of records) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE(values.length)
    parts.push(
      Buffer.from(name, 'hex'),
      length,
      Buffer.from(values.buffer, values.byteOffset, values.byteLength),
    )
  }
  return Buffer.concat(parts)
}

async function read(path: string): Promise<Content | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return undefined
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8).padStart(4, '0')
    throw new PretextError(`${path}: expected a file that only its owner may read (0600), got mode ${mode}`, {
      code: 'data',
      hint: 'delete it, and see who has read it: private embeddings give away much of the texts',
    })
  }
  const bytes = await readFile(path)
  const content = decode(bytes)
  if (content !== undefined) return content
  throw new PretextError(`${path}: expected a cache of private embeddings, got something else`, {
    code: 'data',
    hint: 'name another file in privacy.embeddingCache, or delete this one',
  })
}

function decode(bytes: Buffer): Content | undefined {
  let at = MAGIC.length + KEY_BYTES
  if (bytes.length < at || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  const key = Buffer.from(bytes.subarray(MAGIC.length, at))
  const records = new Map<string, Float32Array>()
  while (at < bytes.length) {
    const start = at + HASH_BYTES + 4
    if (start > bytes.length) return undefined
    const end = start + 4 * bytes.readUInt32LE(at + HASH_BYTES)
    if (end > bytes.length) return undefined
    // Copied, since records do not begin at multiples of four.
    const values = new Float32Array(Uint8Array.from(bytes.subarray(start, end)).buffer)
    records.set(bytes.subarray(at, at + HASH_BYTES).toString('hex'), values)
    at = end
  }
  return { key, records }
}

/** Where a path leads, links followed as far as it exists. */
async function realPath(path: string): Promise<string> {
  const full = resolve(path)
  try {
    return await realpath(full)
  } catch {
    const parent = dirname(full)
    return parent === full ? full : join(await realPath(parent), basename(full))
  }
}
