// docs/vdaf.md: the example runs, and its table of soundness is what the code computes.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import { multihotVdaf } from '../../src/vdaf/index.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const page = await readFile(join(ROOT, 'docs/vdaf.md'), 'utf8')

describe('docs/vdaf.md', () => {
  it('has an example that runs', async () => {
    const example = page.match(/```ts\n(.*?)```/s)?.[1] ?? ''
    const { outputFiles } = await build({
      stdin: { contents: `${example}\nexport { sums }`, loader: 'ts', resolveDir: ROOT },
      alias: { 'pretext/vdaf': join(ROOT, 'src/vdaf/index.ts') },
      bundle: true,
      format: 'esm',
      write: false,
    })
    const file = join(await mkdtemp(join(tmpdir(), 'pretext-vdaf-')), 'example.mjs')
    await writeFile(file, outputFiles[0]?.text ?? '')
    const { sums } = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as { sums: number[] }
    expect(sums.flatMap((sum, i) => (sum === 0 ? [] : [[i, sum]]))).toEqual([[17, 1]])
  })

  it('states the soundness error that the code computes', () => {
    const rows = [
      ...page.matchAll(
        /^\| ([\d,]+) +\| (\d+) +\| Field(64|128), (\d) +\| (\d+) .*2\^-(\d+) +\| 2\^-(\d+) +\|$/gm,
      ),
    ]
    expect(rows.length).toBe(6)
    for (const [, length = '', k, field, proofs, chunk, one, many] of rows) {
      const vdaf = multihotVdaf({
        length: Number(length.replace(',', '')),
        maxWeight: Number(k),
        multiproof: field === '64',
      })
      expect(vdaf.description).toContain(`Field${field}, proofs ${proofs}`)
      expect(vdaf.chunkLength).toBe(Number(chunk))
      expect(Math.floor(vdaf.soundness.bits)).toBe(Number(one))
      expect(Math.floor(vdaf.soundness.against({ queriesBits: 80, reports: 1e9 }))).toBe(Number(many))
    }
  })
})
