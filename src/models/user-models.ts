// Models that the user names: from the Hub or from disk. On first use the revision, the files and their sha256 are
// recorded; from then on the model is as fixed as a built-in one, and needs no network.
import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { PretextError } from '../errors.ts'
import { withFolderLock } from './folder-lock.ts'
import { downloadFromHub } from './hub-download.ts'
import { listHubFiles } from './hub-listing.ts'
import { findBuiltIn } from './manifests.ts'
import type { HubSource, ModelFile, ModelKind, ModelManifest, ResolvedFile, ResolvedModel } from './model.ts'
import { modelFolderName, pathInside } from './paths.ts'
import { openStore, resolveModel, type Store, type StoreOptions } from './store.ts'
import { type Dtype, ggufFiles, onnxModelFiles } from './user-files.ts'
import { hasRecord, readRecord, writeRecord } from './user-record.ts'
import { type HubReference, kindOf, parseReference } from './user-reference.ts'

export interface UserModelOptions extends StoreOptions {
  /** Of the ONNX file; without it, the most exact one there is. */
  readonly dtype?: Dtype
  /** `llm` for a GGUF file and `embedder` for the rest, unless told. */
  readonly kind?: ModelKind
}

/**
 * Any name a config may hold: a built-in id, a path, `hub:owner/name[@revision]:file.gguf`, `owner/name[@revision]`.
 * @throws PretextError `config` (no such model or file), `dependency` (not reachable), `storage`
 */
export async function resolveUserModel(
  reference: string,
  options: UserModelOptions = {},
): Promise<ResolvedModel> {
  if (findBuiltIn(reference) !== undefined) return resolveModel(reference, options)
  const parsed = parseReference(options.path ?? reference, existsSync)
  const kind = options.kind ?? kindOf(parsed)
  const store = openStore(options)
  if (parsed.type === 'path') return localModel(parsed.path, kind, options.dtype, store)
  const id = canonicalId(parsed, options.dtype)
  const folder = join(store.modelsFolder, modelFolderName(id))
  let manifest = await readRecord(folder)
  if (manifest === undefined) {
    const onWait = () =>
      store.onEvent({ type: 'note', message: `another process is fetching ${id}; waiting` })
    manifest = await withFolderLock(folder, { signal: store.signal, onWait }, async (signal) => {
      const meanwhile = await readRecord(folder)
      if (meanwhile === undefined && hasRecord(folder)) {
        const message = `the record of ${id} in ${folder} is damaged; its files are looked up again`
        store.onEvent({ type: 'warning', message })
      }
      return meanwhile ?? recordFromHub(id, parsed, folder, kind, options.dtype, { ...store, signal })
    })
  }
  return resolveModel(manifest, options)
}

function canonicalId(reference: HubReference, dtype: Dtype | undefined): string {
  const file = reference.file === undefined ? '' : `:${reference.file}`
  const suffix = dtype === undefined || reference.file !== undefined ? '' : `#${dtype}`
  return `hub:${reference.repo}@${reference.revision}${file}${suffix}`
}

async function recordFromHub(
  id: string,
  reference: HubReference,
  folder: string,
  kind: ModelKind,
  dtype: Dtype | undefined,
  store: Store,
): Promise<ModelManifest> {
  if (store.offline !== undefined) {
    throw new PretextError(`model ${id} is not in ${folder}, and ${store.offline} forbids to fetch it`, {
      code: 'dependency',
      hint: 'unset it for the first use of this model, or name a path that holds it',
    })
  }
  const listing = await listHubFiles(store.hub, reference, store.signal)
  const names = [...listing.files.keys()]
  const where = `${reference.repo} at ${reference.revision}`
  const chosen =
    reference.file === undefined
      ? onnxModelFiles(names, dtype, where)
      : ggufFiles(names, reference.file, where)
  const files: ModelFile[] = []
  for (const path of chosen) {
    const listed = listing.files.get(path)
    if (listed === undefined) continue
    const source = { type: 'hub', repo: reference.repo, revision: listing.commit, path } as const
    const sha256 =
      listed.sha256 ??
      (await firstUse({ id, destination: pathInside(folder, path), source, ...listed }, store))
    files.push({ path, bytes: listed.bytes, sha256, sources: [source] })
  }
  const { licence } = listing
  const description = `from ${reference.repo}, commit ${listing.commit.slice(0, 12)}`
  const manifest: ModelManifest = { id, kind, licence, description, files }
  await writeRecord(folder, manifest)
  return manifest
}

/** The Hub vouches for large files only; the sum of a small one is what came the first time. */
async function firstUse(
  file: { id: string; destination: string; source: HubSource; bytes: number },
  store: Store,
): Promise<string> {
  const { hub, onEvent, signal } = store
  const { source, destination, bytes } = file
  const label = `${file.id}: ${basename(destination)}`
  // What an unrecorded attempt left behind has nobody's word for it.
  await rm(destination, { force: true })
  const outcome = await downloadFromHub({ hub, source, destination, bytes, label, onEvent, signal })
  const found = outcome.ok ? await store.checksums.of(destination) : undefined
  if (found !== undefined) return found.sha256
  const reason = outcome.ok ? 'the file vanished' : outcome.reason
  throw new PretextError(`could not fetch ${source.path} of ${source.repo}: ${reason}`, {
    code: 'dependency',
    hint: 'run again when the hub can be reached, or name a path that holds the model',
  })
}

async function localModel(
  path: string,
  kind: ModelKind,
  dtype: Dtype | undefined,
  store: Store,
): Promise<ResolvedModel> {
  const absolute = resolve(path)
  const found = await stat(absolute).catch(() => undefined)
  if (found === undefined) {
    throw new PretextError(`the model ${absolute} does not exist`, {
      code: 'dependency',
      hint: 'correct the path, or name a built-in model',
    })
  }
  const folder = found.isDirectory() ? absolute : dirname(absolute)
  if (kind === 'llm' && found.isDirectory()) {
    const ggufs = (await readdir(absolute)).filter((name) => name.endsWith('.gguf'))
    throw new PretextError(`${absolute} is a folder; a language model is one GGUF file`, {
      code: 'config',
      hint: ggufs.length === 0 ? 'it holds no GGUF file' : `name one of: ${ggufs.join(', ')}`,
    })
  }
  const names = found.isDirectory() ? await listFolder(absolute) : await readdir(folder)
  const chosen = found.isDirectory()
    ? onnxModelFiles(names, dtype, absolute)
    : ggufFiles(names, basename(absolute), folder)
  const files: ResolvedFile[] = []
  for (const name of chosen) {
    const absolutePath = join(folder, name)
    const sum = await store.checksums.of(absolutePath)
    if (sum !== undefined) files.push({ path: name, absolutePath, ...sum, origin: 'path' })
  }
  return { id: absolute, kind, folder, source: 'path', files }
}

/** Two levels are enough: `tokenizer.json` and `onnx/model.onnx`. */
async function listFolder(folder: string): Promise<string[]> {
  const top = await readdir(folder)
  const onnx = await readdir(join(folder, 'onnx')).catch(() => [])
  return [...top, ...onnx.map((name) => `onnx/${name}`)]
}
