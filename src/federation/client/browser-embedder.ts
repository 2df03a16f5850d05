// The embedder in a browser: transformers.js on WASM or WebGPU, with the very files that the coordinator's embedder has.
// They come from the coordinator and from nowhere else, each checked against its sha256; they are fetched when the first
// text is embedded.
import type { Embedder } from '../../embeddings/embedder.ts'
import { encodeTexts, onnxIdentity } from '../../embeddings/encode.ts'
import { createHashingEmbedder } from '../../embeddings/hashing.ts'
import { sessionOf } from '../../embeddings/run-session.ts'
import { tokenEncoder } from '../../embeddings/tokens.ts'
import { loadTransformers } from '../../embeddings/transformers.ts'
import { PretextError } from '../../errors.ts'
import { sha256Hex } from '../protocol/bytes.ts'
import { type OfferedEmbedder, OfferedEmbedderSchema } from '../protocol/embedder-files.ts'
import { embedderIdentityHash } from '../protocol/manifest.ts'

export interface BrowserEmbedderOptions {
  readonly server: string
  /** Default `wasm`: it gives Node's embeddings to the last bits, and a few texts gain nothing from a GPU. */
  readonly device?: 'wasm' | 'webgpu'
  readonly fetch?: typeof fetch
  readonly onProgress?: (loaded: number, total: number) => void
}

const TOKENS_PER_BATCH = 2_048
/** Where transformers.js believes the files to be; nothing is asked for under this path. */
const FOLDER = '/models/embedder/'

/** What the coordinator offers. */
export async function fetchEmbedder(server: string, ask: typeof fetch = fetch): Promise<OfferedEmbedder> {
  const response = await ask(`${trimmed(server)}/join/embedder`)
  const parsed = response.ok ? OfferedEmbedderSchema.safeParse(await response.json()) : undefined
  if (parsed?.success === true) return parsed.data
  throw new PretextError('expected the coordinator to offer its embedder to pages, it does not', {
    code: 'federation',
    hint: 'join with "pretext join" instead, or ask the operator',
  })
}

/** Needs no network until it embeds. Throws PretextError `data` where the files are not those of the identity. */
export function createBrowserEmbedder(offered: OfferedEmbedder, options: BrowserEmbedderOptions): Embedder {
  if (offered.identity.kind === 'hashing') return checked(createHashingEmbedder(), offered)
  const { maxTokens, identity } = offered
  const weights = offered.files.find(({ path }) => path.endsWith('.onnx'))
  const { model: modelId, dtype, dim } = identity
  const own = onnxIdentity({ modelId, sha256: weights?.sha256 ?? '', dtype, maxTokens, dim })
  const device = options.device ?? 'wasm'
  let loading: ReturnType<typeof load> | undefined
  return checked(
    {
      identity: own,
      device:
        device === 'webgpu'
          ? { name: 'webgpu', why: 'as chosen' }
          : { name: 'cpu', why: 'WASM in this browser' },
      parallel: 1,
      async embed(texts, { signal } = {}) {
        loading ??= load(offered, device, options)
        const { session, encode } = await loading.catch((error: unknown) => {
          loading = undefined
          throw error
        })
        return encodeTexts(texts, {
          session,
          encode,
          dim,
          tokensPerBatch: TOKENS_PER_BATCH,
          ...(signal === undefined ? {} : { signal }),
        })
      },
      async dispose() {
        await (await loading)?.model.dispose()
      },
    },
    offered,
  )
}

function checked(embedder: Embedder, { identity }: OfferedEmbedder): Embedder {
  if (embedderIdentityHash(embedder.identity) === embedderIdentityHash(identity)) return embedder
  throw new PretextError(`expected the files of the embedder ${identity.model}, got others`, {
    code: 'data',
    hint: 'ask the operator: what is offered is not what was announced',
  })
}

async function load(
  { files, identity, maxTokens }: OfferedEmbedder,
  device: 'wasm' | 'webgpu',
  options: BrowserEmbedderOptions,
) {
  const bytes = await verifiedFiles(files, options)
  const library = await loadTransformers()
  const { env } = library
  env.allowLocalModels = true
  env.localModelPath = '/models/'
  env.useBrowserCache = false
  env.useWasmCache = false
  env.useCustomCache = true
  env.customCache = {
    async match(name: string) {
      const path = name.startsWith(FOLDER) ? name.slice(FOLDER.length) : undefined
      const found = path === undefined ? undefined : bytes.get(path)
      return found === undefined ? undefined : new Response(found)
    },
    async put() {},
  }
  // What is not among the files does not exist; nobody is asked for it.
  env.fetch = async () => new Response(null, { status: 404 })
  const { wasm } = env.backends.onnx
  if (wasm !== undefined) {
    wasm.numThreads = 1
    const ort = new URL(`${trimmed(options.server)}/join/ort/ort-wasm-simd-threaded.asyncify`).href
    wasm.wasmPaths = { mjs: `${ort}.mjs`, wasm: `${ort}.wasm` }
  }
  const tokenizer = await library.AutoTokenizer.from_pretrained('embedder', { local_files_only: true })
  const model = await library.AutoModel.from_pretrained('embedder', {
    local_files_only: true,
    dtype: identity.dtype as 'int8',
    device,
  })
  const encode = tokenEncoder(tokenizer, tokenizer.pad_token_id ?? 0)
  return { model, session: sessionOf(library, model), encode: (text: string) => encode(text, maxTokens) }
}

async function verifiedFiles(
  files: OfferedEmbedder['files'],
  { server, fetch: ask = fetch, onProgress }: BrowserEmbedderOptions,
): Promise<ReadonlyMap<string, Uint8Array<ArrayBuffer>>> {
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  let loaded = 0
  const found = new Map<string, Uint8Array<ArrayBuffer>>()
  for (const { path, sha256 } of files) {
    const response = await ask(`${trimmed(server)}/join/model/${sha256}`)
    const parts: Uint8Array[] = []
    for await (const part of partsOf(response)) {
      parts.push(part)
      loaded += part.length
      onProgress?.(loaded, total)
    }
    const bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer())
    if (!response.ok || (await hashOf(bytes)) !== sha256) {
      throw new PretextError(`expected the file ${path} of the embedder with sha256 ${sha256}, got another`, {
        code: 'data',
        hint: 'something on the way changed it; load the page again',
      })
    }
    found.set(path, bytes)
  }
  return found
}

async function* partsOf({ body }: Response): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader()
  for (;;) {
    const part = await reader?.read()
    if (part === undefined || part.done) return
    yield part.value
  }
}

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (crypto.subtle === undefined) return sha256Hex(bytes)
  return Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}

function trimmed(server: string): string {
  return server.replace(/\/+$/, '')
}
