// What `pretext models` shows and removes: the built-in models and those that were fetched by name.
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import { cacheError } from './failures.ts'
import { withFolderLock } from './folder-lock.ts'
import { BUILT_IN_MODELS } from './manifests.ts'
import type { ModelKind, ModelManifest } from './model.ts'
import { modelFolderName, pathInside } from './paths.ts'
import { openStore, type StoreOptions } from './store.ts'
import { readRecord } from './user-record.ts'

export interface ListedModel {
  readonly id: string
  readonly kind: ModelKind
  readonly licence: string
  readonly description: string
  readonly builtIn: boolean
  /** By name and size; the sha256 is looked at when the model is used. */
  readonly status: 'present' | 'incomplete' | 'missing'
  /** Bytes that lie in the folder now, unfinished downloads included. */
  readonly bytes: number
  /** Bytes of the complete model. */
  readonly totalBytes: number
  readonly folder: string
}

/** Built-in models first, in their order; then the others by id. Asks nobody and hashes nothing. */
export async function listModels(options: StoreOptions = {}): Promise<readonly ListedModel[]> {
  const { modelsFolder } = openStore(options)
  const builtIn = await Promise.all(BUILT_IN_MODELS.map((manifest) => listed(manifest, modelsFolder, true)))
  const folders = await readdir(modelsFolder).catch(() => [] as string[])
  const records = await Promise.all(folders.map((name) => readRecord(join(modelsFolder, name))))
  const own = records.filter((manifest) => manifest !== undefined)
  const others = await Promise.all(own.map((manifest) => listed(manifest, modelsFolder, false)))
  return [...builtIn, ...others.sort((a, b) => (a.id < b.id ? -1 : 1))]
}

/** Deletes a model's folder from the cache; says how many bytes that freed. A copy that the user placed elsewhere stays. */
export async function removeModel(
  id: string,
  options: StoreOptions = {},
): Promise<{ readonly bytes: number }> {
  const models = await listModels(options)
  const model = models.find((candidate) => candidate.id === id)
  if (model === undefined) {
    throw new PretextError(`no model is called ${id}; there are: ${models.map((m) => m.id).join(', ')}`, {
      code: 'usage',
      hint: 'pretext models lists them',
    })
  }
  if (model.bytes === 0) return { bytes: 0 }
  const onWait = () =>
    options.onEvent?.({ type: 'note', message: `another process is fetching ${id}; waiting for it` })
  await withFolderLock(model.folder, { signal: options.signal, onWait }, async () => {
    await rm(model.folder, { recursive: true, force: true }).catch((error: unknown) => {
      throw cacheError(error, model.folder)
    })
  })
  return { bytes: model.bytes }
}

async function listed(manifest: ModelManifest, modelsFolder: string, builtIn: boolean): Promise<ListedModel> {
  const folder = join(modelsFolder, modelFolderName(manifest.id))
  const sizes = await Promise.all(manifest.files.map((file) => sizeOf(pathInside(folder, file.path))))
  const whole = manifest.files.every((file, at) => sizes[at] === file.bytes)
  const bytes = await bytesBelow(folder)
  const { id, kind, licence, description } = manifest
  const totalBytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0)
  const status = whole ? 'present' : bytes > 0 ? 'incomplete' : 'missing'
  return { id, kind, licence, description, builtIn, status, bytes, totalBytes, folder }
}

async function bytesBelow(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const files = entries.filter((entry) => entry.isFile())
  const sizes = await Promise.all(files.map((entry) => sizeOf(join(entry.parentPath, entry.name))))
  return sizes.reduce((sum, size) => sum + size, 0)
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
