// How large pretext/client is in a browser, gzipped, without the embedder's library: npx tsx bench/client-bundle.ts. What a
// page loads first, and what it loads when a round is of two servers, which most of it never needs.
import { basename, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'

interface Part {
  readonly path: string
  readonly bytes: number
}

interface Chunks {
  readonly code: string
  readonly bytes: number
  readonly gzipped: number
  /** What is in it, the largest first. */
  readonly parts: readonly Part[]
}

export interface ClientBundle extends Chunks {
  /** Loaded with the first round of two servers. */
  readonly twoServer: Chunks
}

export async function clientBundle(): Promise<ClientBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [resolve(import.meta.dirname, '../src/federation/client/browser.ts')],
    bundle: true,
    splitting: true,
    minify: true,
    outdir: 'nowhere',
    // An import of a Node module is an error on this platform.
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    external: ['@huggingface/transformers'],
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  const texts = new Map(outputFiles.map(({ path, text }) => [basename(path), text]))
  const chunksOf = (names: readonly string[]): Chunks => {
    const codes = names.map((name) => texts.get(basename(name)) ?? '')
    return {
      code: codes.join('\n'),
      bytes: codes.reduce((sum, code) => sum + Buffer.byteLength(code), 0),
      // Each chunk is a file of its own on the wire.
      gzipped: codes.reduce((sum, code) => sum + gzipSync(code, { level: 9 }).length, 0),
      parts: names
        .flatMap((name) => Object.entries(metafile.outputs[name]?.inputs ?? {}))
        .map(([path, { bytesInOutput: bytes }]) => ({ path, bytes }))
        .sort((a, b) => b.bytes - a.bytes),
    }
  }
  const names = Object.keys(metafile.outputs)
  const entry = names.filter((name) => metafile.outputs[name]?.entryPoint?.endsWith('client/browser.ts'))
  const first = reached(metafile, entry)
  return { ...chunksOf(first), twoServer: chunksOf(names.filter((name) => !first.includes(name))) }
}

/** These outputs and all that they import at once. */
function reached({ outputs }: Metafile, from: readonly string[]): string[] {
  const found = new Set(from)
  for (const name of found) {
    for (const { path, kind, external } of outputs[name]?.imports ?? []) {
      if (kind === 'import-statement' && external !== true) found.add(path)
    }
  }
  return [...found]
}

if (process.argv[1] === import.meta.filename) {
  const { twoServer, ...first } = await clientBundle()
  for (const [what, { bytes, gzipped, parts }] of [
    ['pretext/client in a browser', first] as const,
    ['more of it for a round of two servers', twoServer] as const,
  ]) {
    console.log(`${what}: ${bytes} bytes, ${gzipped} gzipped`)
    for (const part of parts.slice(0, 12)) console.log(`${String(part.bytes).padStart(7)} ${part.path}`)
  }
}
