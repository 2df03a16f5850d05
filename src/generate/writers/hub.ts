// Uploads a dataset folder to the Hugging Face Hub: the repository is made (private unless asked otherwise), the files
// go up in one commit. The token comes from HF_TOKEN and is never shown.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pRetry from 'p-retry'
import { PretextError } from '../../errors.ts'
import { ignoreEvents, type OnEvent } from '../../events.ts'

export interface HubOptions {
  /** True by default. */
  readonly private?: boolean
  /** HF_TOKEN and HF_ENDPOINT are read from here; the environment of the process by default. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
  /** Wait before the first retry; it doubles. */
  readonly retryMs?: number
}

const RETRIES = 4

/** Uploads `files` of `folder` as dataset `name` (owner/name) and returns its address. */
export async function uploadDataset(
  folder: string,
  files: readonly string[],
  name: string,
  options: HubOptions = {},
): Promise<string> {
  if (!/^[\w.-]+\/[\w.-]+$/.test(name)) {
    throw new PretextError(`expected a dataset name like owner/name, got ${JSON.stringify(name)}`, {
      code: 'usage',
    })
  }
  const env = options.env ?? process.env
  const accessToken = tokenOf(env)
  const hubUrl = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '')
  const onEvent = options.onEvent ?? ignoreEvents
  const label = `uploading to ${name}`
  const sizes = new Map(
    await Promise.all(files.map(async (file) => [file, (await stat(join(folder, file))).size] as const)),
  )
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  onEvent({ type: 'stage', stage: 'write', label, total, unit: 'bytes' })
  // Loaded here, so that nobody waits for it who does not upload.
  const hub = await import('@huggingface/hub')
  const status = (error: unknown): number | undefined =>
    error instanceof hub.HubApiError ? error.statusCode : undefined
  const attempt = <T>(work: () => Promise<T>): Promise<T> =>
    pRetry(work, {
      retries: RETRIES,
      minTimeout: options.retryMs ?? 1000,
      shouldRetry: ({ error }) => {
        const code = status(error)
        return code === undefined ? isNetworkError(error) : code === 429 || code >= 500
      },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  const access = { repo: { type: 'dataset' as const, name }, accessToken, hubUrl }
  try {
    await attempt(() => openRepo(hub, access, options.private ?? true, onEvent, status))
    await attempt(async () => {
      const upload = hub.uploadFilesWithProgress({
        ...access,
        commitTitle: 'Upload a synthetic corpus made by pretext',
        files: files.map((path) => ({ path, content: pathToFileURL(join(folder, path)) })),
        ...(options.signal === undefined ? {} : { abortSignal: options.signal }),
      })
      const shares = new Map<string, number>()
      for await (const event of upload) {
        if (event.event !== 'fileProgress' || event.state !== 'uploading') continue
        shares.set(event.path, event.progress)
        const done = [...shares].reduce((sum, [path, share]) => sum + share * (sizes.get(path) ?? 0), 0)
        onEvent({ type: 'progress', stage: 'write', done: Math.round(done), total })
      }
    })
  } catch (error) {
    if (error instanceof PretextError || options.signal?.aborted) throw error
    throw uploadError(error, status(error), name, hubUrl)
  }
  onEvent({ type: 'progress', stage: 'write', done: total, total })
  onEvent({ type: 'stage-end', stage: 'write', label })
  return `${hubUrl}/datasets/${name}`
}

type Hub = typeof import('@huggingface/hub')

/** Makes the repository, or finds it with the visibility that was asked for. */
async function openRepo(
  hub: Hub,
  access: {
    readonly repo: { readonly type: 'dataset'; readonly name: string }
    readonly accessToken: string
    readonly hubUrl: string
  },
  wantPrivate: boolean,
  onEvent: OnEvent,
  status: (error: unknown) => number | undefined,
): Promise<void> {
  try {
    await hub.createRepo({ ...access, visibility: wantPrivate ? 'private' : 'public' })
    return
  } catch (error) {
    if (status(error) !== 409) throw error
  }
  const { name } = access.repo
  const { private: isPrivate } = await hub.datasetInfo({
    name,
    accessToken: access.accessToken,
    hubUrl: access.hubUrl,
  })
  if (wantPrivate && !isPrivate) {
    throw new PretextError(
      `expected the dataset ${name} to be private or new, and it is public; nothing was uploaded`,
      {
        code: 'usage',
        hint: 'Ask for a public upload (--public), or choose another name.',
      },
    )
  }
  if (!wantPrivate && isPrivate)
    onEvent({ type: 'note', message: `${name} exists and is private; it stays private` })
}

function tokenOf(env: Readonly<Record<string, string | undefined>>): string {
  const token = env.HF_TOKEN?.trim() ?? ''
  if (token.startsWith('hf_')) return token
  throw new PretextError(
    token === '' ? 'HF_TOKEN is not set' : 'expected HF_TOKEN to begin with "hf_", got something else',
    {
      code: 'dependency',
      hint: 'Make a token with write access in the settings of the Hub, and set HF_TOKEN to it.',
    },
  )
}

function isNetworkError(error: unknown): boolean {
  return error instanceof TypeError && error.message === 'fetch failed'
}

function uploadError(error: unknown, status: number | undefined, name: string, hubUrl: string): unknown {
  if (status === 401 || status === 403) {
    return new PretextError(`the Hub refused the token for ${name} (status ${status})`, {
      code: 'dependency',
      hint: 'HF_TOKEN needs write access to datasets of that owner.',
      cause: error,
    })
  }
  if (status === undefined && !isNetworkError(error)) return error
  const what = status === undefined ? `${hubUrl} cannot be reached` : `the Hub answered with status ${status}`
  return new PretextError(`could not upload ${name}: ${what}`, {
    code: 'storage',
    hint: 'Run the same command again: what has gone up is not sent twice. A folder can be written without the Hub, too.',
    cause: error,
  })
}
