// How a user names a model of their own: `hub:owner/name[@revision]:file.gguf`, `[hub:]owner/name[@revision]`, or a path.
import { isAbsolute } from 'node:path'
import { PretextError } from '../errors.ts'
import type { ModelKind } from './model.ts'

export interface HubReference {
  readonly type: 'hub'
  readonly repo: string
  readonly revision: string
  /** The GGUF file; absent for a model that is a set of files. */
  readonly file: string | undefined
}

export type UserReference = HubReference | { readonly type: 'path'; readonly path: string }

const NAME = String.raw`[A-Za-z0-9][\w.-]*`
const HUB = new RegExp(
  `^(?:(hub):)?(?<repo>${NAME}/${NAME})(?:@(?<revision>[^:@\\s]+))?(?::(?<file>[^:\\s]+))?$`,
)

/**
 * `exists` says whether something lies at a path: `models/mine` could be either, and what is there wins.
 * @throws PretextError `config` for anything else
 */
export function parseReference(reference: string, exists: (path: string) => boolean): UserReference {
  const asPath = reference.replace(/^~(?=[/\\])/, process.env.HOME ?? '~')
  const explicit = isAbsolute(asPath) || /^\.\.?([/\\]|$)/.test(asPath)
  if (explicit || (!reference.startsWith('hub:') && exists(asPath))) return { type: 'path', path: asPath }
  const groups = HUB.exec(reference)?.groups
  if (groups?.repo !== undefined && (groups.file === undefined || groups.file.endsWith('.gguf'))) {
    return { type: 'hub', repo: groups.repo, revision: groups.revision ?? 'main', file: groups.file }
  }
  throw new PretextError(
    `${JSON.stringify(reference)} names no model: expected a path that exists, hub:owner/name[@revision]:file.gguf, or owner/name[@revision]`,
    { code: 'config', hint: 'pretext models lists the built-in ones' },
  )
}

export function kindOf(reference: UserReference): ModelKind {
  const file = reference.type === 'hub' ? reference.file : reference.path
  return file?.endsWith('.gguf') ? 'llm' : 'embedder'
}
