// The errors of the model store: each says what was expected, what came, where, and what to do.
import { storageError } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { ModelFile, ModelManifest } from './model.ts'

export interface MissingFile {
  readonly file: ModelFile
  readonly absolutePath: string
  /** One line a source, in the order of trying. */
  readonly reasons: readonly string[]
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`
}

/** No source gave the files: the message is enough to place them by hand. */
export function missingFiles(manifest: ModelManifest, missing: readonly MissingFile[]): PretextError {
  const count = missing.length === 1 ? '1 file is missing' : `${missing.length} files are missing`
  const lines = missing.flatMap(({ file, absolutePath, reasons }) => [
    `  ${absolutePath}`,
    `    ${file.bytes} bytes, sha256 ${file.sha256}`,
    ...reasons.map((reason) => `    tried ${reason}`),
  ])
  return new PretextError([`model ${manifest.id}: ${count} and no source gave it`, ...lines].join('\n'), {
    code: 'dependency',
    hint: 'place each file at the path above (another machine can fetch it), or connect to one of the sources and run again',
  })
}

export function wrongGivenFile(
  manifest: ModelManifest,
  path: string,
  expected: ModelFile,
  found: { readonly bytes: number; readonly sha256: string },
): PretextError {
  return new PretextError(
    `${path} is not the file ${expected.path} of ${manifest.id}\n` +
      `  expected ${expected.bytes} bytes, sha256 ${expected.sha256}\n` +
      `  found    ${found.bytes} bytes, sha256 ${found.sha256}`,
    {
      code: 'dependency',
      hint: 'give the right file, or leave the path out and pretext fetches it; to use this one as a model of its own, name its path as the model',
    },
  )
}

export function missingGivenFile(manifest: ModelManifest, path: string, expected: ModelFile): PretextError {
  return new PretextError(
    `${path} does not exist; ${manifest.id} needs it (${expected.bytes} bytes, sha256 ${expected.sha256})`,
    { code: 'dependency', hint: 'place the file there, or leave the path out and pretext fetches it' },
  )
}

/** A file system that refuses becomes a `storage` error with a hint that fits a cache; anything else is passed on. */
export function cacheError(error: unknown, path: string): unknown {
  const refused = storageError(error, path)
  if (!(refused instanceof PretextError) || refused.code !== 'storage') return error
  return new PretextError(refused.message, {
    code: refused.code,
    hint: 'make room, or set PRETEXT_CACHE to a folder with room; what was already downloaded is kept and fetching goes on from there',
    cause: error,
  })
}
