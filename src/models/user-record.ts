// What a user's model was on first use: its commit, files and sha256, kept in the model's folder.
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeDurable } from '../durable.ts'
import { cacheError } from './failures.ts'
import type { ModelManifest } from './model.ts'

const RECORD = 'pretext-model.json'
const FORMAT = 'pretext-model'
const hubSource = z.object({
  type: z.literal('hub'),
  repo: z.string(),
  revision: z.string(),
  path: z.string(),
})
const record = z.object({
  format: z.literal(FORMAT),
  version: z.literal(1),
  manifest: z.object({
    id: z.string(),
    kind: z.enum(['embedder', 'llm', 'masked-lm']),
    licence: z.string(),
    description: z.string(),
    files: z
      .array(
        z.object({
          path: z.string(),
          bytes: z.number().int().nonnegative(),
          sha256: z.string().regex(/^[0-9a-f]{64}$/),
          sources: z.array(hubSource),
        }),
      )
      .min(1),
  }),
})

/** Undefined where there is no record, or none that can be read: then it is made again. */
export async function readRecord(folder: string): Promise<ModelManifest | undefined> {
  try {
    return record.parse(JSON.parse(await readFile(join(folder, RECORD), 'utf8'))).manifest
  } catch {
    return undefined
  }
}

export function hasRecord(folder: string): boolean {
  return existsSync(join(folder, RECORD))
}

export async function writeRecord(folder: string, manifest: ModelManifest): Promise<void> {
  const path = join(folder, RECORD)
  try {
    await writeDurable(path, `${JSON.stringify({ format: FORMAT, version: 1, manifest }, null, 2)}\n`)
  } catch (error) {
    throw cacheError(error, path)
  }
}
