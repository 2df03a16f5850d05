// The folder in which real texts and their embeddings go to the trainer's Python: readable by this user alone, and removed
// afterwards. What a killed process left is removed by the next one.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storageError } from '../durable.ts'
import type { Matrix } from '../embeddings/matrix.ts'

const PREFIX = 'pretext-evaluate-'

export interface PrivateFolder {
  readonly path: string
  /** Rows as JSON lines, and their embeddings beside them where there are some. */
  write(name: string, rows: readonly object[], embeddings?: Matrix): Promise<string>
}

export async function inPrivateFolder<T>(
  work: (folder: PrivateFolder) => Promise<T>,
  options: { readonly root?: string } = {},
): Promise<T> {
  const root = options.root ?? tmpdir()
  await removeLeftovers(root)
  // mkdtemp makes folders of mode 0700.
  const path = await mkdir(root, { recursive: true })
    .then(() => mkdtemp(join(root, `${PREFIX}${process.pid}-`)))
    .catch((error: unknown) => {
      throw storageError(error, root)
    })
  try {
    return await work({
      path,
      async write(name, rows, embeddings) {
        const file = join(path, `${name}.jsonl`)
        const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
        try {
          await writeFile(file, lines, { mode: 0o600, flag: 'wx' })
          if (embeddings !== undefined) {
            const { buffer, byteOffset, byteLength } = embeddings.values
            const bytes = new Uint8Array(buffer, byteOffset, byteLength)
            await writeFile(join(path, `${name}.f32`), bytes, { mode: 0o600, flag: 'wx' })
          }
        } catch (error) {
          throw storageError(error, file)
        }
        return file
      },
    })
  } finally {
    await rm(path, { recursive: true, force: true })
  }
}

/** Folders of processes that are gone. */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root).catch(() => [])) {
    const pid = Number(new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1] ?? Number.NaN)
    if (Number.isNaN(pid) || isAlive(pid)) continue
    await rm(join(root, name), { recursive: true, force: true }).catch(() => {})
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // A process of another user cannot be signalled, and is there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
