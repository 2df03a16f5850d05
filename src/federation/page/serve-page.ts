// The participant's page under /join: its files, the embedder's files and the WASM runtime, all from the coordinator, under
// rules (Content-Security-Policy) that let the page talk to nobody else.
import { createReadStream } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, extname, join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { type Context, Hono } from 'hono'
import { refuseOtherMethods } from '../coordinator/app.ts'
import type { OfferedEmbedder } from '../protocol/embedder-files.ts'

/** The coordinator's embedder, with where its files are on this machine. */
export interface PageEmbedder extends Omit<OfferedEmbedder, 'files'> {
  readonly files: readonly (OfferedEmbedder['files'][number] & { readonly absolutePath: string })[]
}

export interface PageOptions {
  /** Called when the first page asks. */
  readonly embedder: () => Promise<PageEmbedder>
  /** Folder that build.mjs wrote. */
  readonly assets?: string
}

/** Right beside the sources as beside what is built. */
const ASSETS = fileURLToPath(new URL('../../../dist/federation/page/assets', import.meta.url))
const RUNTIME = ['ort-wasm-simd-threaded.asyncify.mjs', 'ort-wasm-simd-threaded.asyncify.wasm']

const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
}
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.wasm': 'application/wasm',
}

/** To be mounted at /join. */
export function joinPage({ embedder, assets = ASSETS }: PageOptions): Hono {
  const app = new Hono()
  const zipped = new Map<string, ReturnType<typeof withSmall>>()
  let offered: Promise<PageEmbedder> | undefined
  const offer = () => {
    offered ??= embedder().catch((error: unknown) => {
      offered = undefined
      throw error
    })
    return offered
  }
  const file = async (c: Context, path: string, caching: string) => {
    const known = zipped.get(path) ?? withSmall(path)
    zipped.set(path, known)
    const { plain, small } = await known
    const headers = {
      'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
      'cache-control': caching,
      vary: 'accept-encoding',
    }
    if (!/\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) return c.body(plain, 200, headers)
    return c.body(small, 200, { ...headers, 'content-encoding': 'gzip' })
  }

  app.use(async (c, next) => {
    await next()
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value)
  })
  app.get('/', async (c) => {
    // Addresses in the page are relative to /join, so that a proxy may put the coordinator anywhere.
    if (new URL(c.req.url).pathname.endsWith('/')) return c.redirect('../join')
    return file(c, join(assets, 'join.html'), 'no-cache')
  })
  app.get('/assets/:name', async (c) => {
    const name = c.req.param('name')
    const names: readonly string[] = await readdir(assets).catch(() => [])
    if (!names.includes(name) || name === 'join.html') return c.notFound()
    return file(c, join(assets, name), name.startsWith('chunk-') ? 'public, max-age=604800' : 'no-cache')
  })
  app.get('/ort/:name', async (c) => {
    const name = c.req.param('name')
    if (!RUNTIME.includes(name)) return c.notFound()
    return file(c, join(runtimeFolder(), name), 'public, max-age=604800')
  })
  app.get('/embedder', async (c) => {
    const { identity, maxTokens, files } = await offer()
    const answer: OfferedEmbedder = {
      identity,
      maxTokens,
      files: files.map(({ path, sha256, bytes }) => ({ path, sha256, bytes })),
    }
    return c.json(answer, 200, { 'cache-control': 'no-store' })
  })
  app.get('/model/:sha256', async (c) => {
    const found = (await offer()).files.find(({ sha256 }) => sha256 === c.req.param('sha256'))
    if (found === undefined) return c.notFound()
    const stream = Readable.toWeb(createReadStream(found.absolutePath)) as ReadableStream<Uint8Array>
    return c.body(stream, 200, {
      'content-type': 'application/octet-stream',
      'content-length': String(found.bytes),
      'cache-control': 'public, max-age=31536000, immutable',
    })
  })
  refuseOtherMethods(app)
  return app
}

async function withSmall(path: string) {
  const plain = new Uint8Array(await readFile(path))
  return { plain, small: new Uint8Array(await promisify(gzip)(plain)) }
}

/** Where npm put the runtime that transformers.js is built with. */
function runtimeFolder(): string {
  const own = createRequire(import.meta.url)
  const transformers = createRequire(own.resolve('@huggingface/transformers'))
  return dirname(transformers.resolve('onnxruntime-web'))
}
