// Puts the participant's page together: two scripts (the page and its worker, with transformers.js), style and HTML, so
// that it asks the coordinator for everything and nobody else.
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

const HERE = import.meta.dirname

/** Writes the page's files into a folder. */
export async function buildPage(folder) {
  await mkdir(folder, { recursive: true })
  for (const name of ['join.html', 'join.css']) await copyFile(join(HERE, name), join(folder, name))
  await build({
    entryPoints: [join(HERE, 'browser/main.ts'), join(HERE, 'browser/worker.ts')],
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    chunkNames: 'chunk-[hash]',
    // An import of a Node module is an error on this platform.
    platform: 'browser',
    format: 'esm',
    target: 'es2023',
    logLevel: 'warning',
  })
}
