// How large pretext/client is in a browser, gzipped, without the embedder's library: npx tsx bench/client-bundle.ts
import { resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

export interface ClientBundle {
  readonly code: string
  readonly bytes: number
  readonly gzipped: number
  /** What is in it, the largest first. */
  readonly parts: readonly { readonly path: string; readonly bytes: number }[]
}

export async function clientBundle(): Promise<ClientBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [resolve(import.meta.dirname, '../src/federation/client/browser.ts')],
    bundle: true,
    minify: true,
    // An import of a Node module is an error on this platform.
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    external: ['@huggingface/transformers'],
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const code = outputFiles[0]?.text ?? ''
  const inputs = Object.values(metafile.outputs)[0]?.inputs ?? {}
  return {
    code,
    bytes: Buffer.byteLength(code),
    gzipped: gzipSync(code, { level: 9 }).length,
    parts: Object.entries(inputs)
      .map(([path, { bytesInOutput: bytes }]) => ({ path, bytes }))
      .sort((a, b) => b.bytes - a.bytes),
  }
}

if (process.argv[1] === import.meta.filename) {
  const { bytes, gzipped, parts } = await clientBundle()
  console.log(`pretext/client in a browser: ${bytes} bytes, ${gzipped} gzipped`)
  for (const part of parts.slice(0, 12)) console.log(`${String(part.bytes).padStart(7)} ${part.path}`)
}
