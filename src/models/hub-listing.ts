// The files of a repository on the Hub, with the sha256 of those that it keeps in large-file storage.
import { PretextError } from '../errors.ts'
import { type Hub, hubHeaders, networkReason, whyUnreachable } from './hub.ts'
import type { HubReference } from './user-reference.ts'

export interface HubListing {
  /** The commit that the revision stood for. */
  readonly commit: string
  readonly licence: string
  readonly files: ReadonlyMap<string, { readonly bytes: number; readonly sha256?: string }>
}

export async function listHubFiles(
  hub: Hub,
  reference: HubReference,
  signal: AbortSignal | undefined,
): Promise<HubListing> {
  const known = whyUnreachable(hub)
  if (known !== undefined) throw notListed(hub, reference, known)
  // Loaded only here: a run with built-in models does not need it.
  const { HubApiError, listFiles, modelInfo } = await import('@huggingface/hub')
  const asked: typeof fetch = (url, init) => {
    const timeout = AbortSignal.timeout(hub.connectMs)
    const both = signal ? AbortSignal.any([signal, timeout]) : timeout
    // The token goes in by hand: the library refuses tokens of mirrors, which do not begin like the Hub's own.
    return hub.fetch(url, { ...init, headers: { ...hubHeaders(hub), ...headersOf(init) }, signal: both })
  }
  const { repo, revision } = reference
  try {
    const info = await modelInfo({
      name: repo,
      revision,
      hubUrl: hub.endpoint,
      additionalFields: ['sha', 'tags'],
      fetch: asked,
    })
    const files = new Map<string, { bytes: number; sha256?: string }>()
    const entries = listFiles({
      repo: { type: 'model', name: repo },
      recursive: true,
      revision: info.sha,
      hubUrl: hub.endpoint,
      fetch: asked,
    })
    for await (const entry of entries) {
      if (entry.type !== 'file') continue
      const bytes = entry.lfs?.size ?? entry.size
      files.set(entry.path, entry.lfs === undefined ? { bytes } : { bytes, sha256: entry.lfs.oid })
    }
    const licence = info.tags?.find((tag) => tag.startsWith('license:'))?.slice('license:'.length)
    return { commit: info.sha, licence: licence ?? 'unknown', files }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof HubApiError) throw notListed(hub, reference, `answered ${error.statusCode}`, error)
    throw notListed(hub, reference, `could not connect (${networkReason(error)})`, error)
  }
}

function headersOf(init: RequestInit | undefined): Record<string, string> {
  return Object.fromEntries(new Headers(init?.headers).entries())
}

function notListed(hub: Hub, reference: HubReference, reason: string, cause?: unknown): PretextError {
  const { repo, revision } = reference
  const absent = /answered (401|403|404)/.test(reason)
  return new PretextError(`the hub ${hub.endpoint} does not list ${repo} at ${revision}: ${reason}`, {
    code: absent ? 'config' : 'dependency',
    hint: absent
      ? 'check the name and the revision; for a private or gated repository set HF_TOKEN'
      : 'run again when the hub can be reached, or name a path that holds the model',
    cause,
  })
}
