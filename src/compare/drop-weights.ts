// Weights of a finished run: its figures are kept, and hundreds of models would fill a disk.
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const WEIGHTS = /\.(safetensors|gguf|bin|pt)$/
const LARGE = 1_000_000

/** Removes weights, and whatever else is above a megabyte, below `folder`. */
export async function dropWeights(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    if (WEIGHTS.test(entry.name) || (await stat(path)).size > LARGE) await rm(path)
  }
}
