// The command line in few files: after tsc, everything that bin/pretext.js can reach is put together with yargs, in
// chunks that are loaded when a command needs them. Node opens 6 files instead of 100 before the first command starts
// (bench/start.ts). It takes the place of dist/cli/main.js, which works without this step as well, only slower; the
// library stays as tsc made it, and other packages stay where npm puts them.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { build } from 'esbuild'
import { buildPage } from './src/federation/page/build.mjs'

const OUT = 'dist/cli'
/** Packages that are put in: yargs with what it is made of, and the Fourier transform of the accountant. */
const INSIDE =
  /^(yargs|yargs-parser|y18n|cliui|escalade|get-caller-file|string-width|strip-ansi|ansi-regex|get-east-asian-width|emoji-regex|wrap-ansi|ansi-styles|fft\.js)(\/|$)/

const places = {
  name: 'places',
  setup({ onLoad, onResolve }) {
    // Modules that look for files beside themselves still find them: a module's place is where tsc put it.
    onLoad({ filter: /[\\/]dist[\\/].*\.js$/ }, async ({ path }) => {
      const place = relative(OUT, path).replaceAll('\\', '/')
      const text = await readFile(path, 'utf8')
      return { contents: text.replaceAll('import.meta.url', `new URL('${place}', import.meta.url).href`) }
    })
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || INSIDE.test(path) ? undefined : { path, external: true },
    )
  },
}

for (const name of await readdir(OUT)) if (name.startsWith('chunk-')) await rm(join(OUT, name))
await build({
  entryPoints: ['dist/cli/main.js'],
  outdir: OUT,
  allowOverwrite: true,
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  plugins: [places],
  logLevel: 'warning',
})

// The participant's page is served as one bundle; what tsc made of its parts is of no use.
const PAGE = 'dist/federation/page'
await rm(join(PAGE, 'assets'), { recursive: true, force: true })
await rm(join(PAGE, 'browser'), { recursive: true, force: true })
await buildPage(join(PAGE, 'assets'))
