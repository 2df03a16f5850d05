// Names of folders and files in the cache. Ids and paths come from configs and from a server: neither may point outside.
import { createHash } from 'node:crypto'
import { isAbsolute, join } from 'node:path'
import { PretextError } from '../errors.ts'

/** A built-in id is its own folder; a reference such as `hub:owner/name:file.gguf` gets a readable, unique one. */
export function modelFolderName(id: string): string {
  if (/^\w[\w.-]*$/.test(id)) return id
  const digest = createHash('sha256').update(id).digest('hex').slice(0, 8)
  const readable = id.replace(/[^\w.-]+/g, '--').replace(/^[.-]+/, '')
  return `${readable.slice(0, 100)}--${digest}`
}

/** `folder/path`, for a relative path of plain names. */
export function pathInside(folder: string, path: string): string {
  const plain = path.split('/').every((name) => name !== '' && name !== '.' && name !== '..')
  if (!plain || isAbsolute(path) || /[\\:\0]/.test(path)) {
    throw new PretextError(`${JSON.stringify(path)} is not a path inside a model's folder`, {
      code: 'config',
      hint: 'write it as in the repository: names joined by /, none of them . or ..',
    })
  }
  return join(folder, path)
}
