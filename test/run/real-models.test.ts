// The whole job with the real embedded models on real texts, at small size: the quickstart's config with smaller numbers.
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli } from './workspace.ts'

const ROOT = resolve(import.meta.dirname, '../..')

describe('embedded models', () => {
  it('make a corpus from package descriptions', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'real-'))
    const set = [
      'evolution.rounds=1',
      'evolution.population=8',
      'generate.texts=8',
      'generate.maxTries=8',
      'histogram.maxTextsPerClient=1',
      `output.folder=${folder}`,
    ].flatMap((setting) => ['--set', setting])
    const out = join(folder, 'run')
    const { code, stderr } = await runCli(
      ['generate', join(ROOT, 'configs/quickstart.yaml'), '--out', out, ...set],
      {
        cwd: folder,
      },
    )
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    expect(stderr).toMatch(/embedder all-MiniLM-L6-v2 on (cpu|webgpu|cuda): /)
    const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'))
    expect(report.embedder).toMatchObject({ model: 'all-MiniLM-L6-v2', dim: 384 })
    expect(report.llm.id).toMatch(/SmolLM2-135M-Instruct.*sha256:0c1d3326/)
    expect(report.corpus.texts).toBe(8)
    // Held-out descriptions are nearer to texts about software than chance, and not equal to them.
    const { mean } = report.final.consentedToCorpus
    expect(mean).toBeGreaterThan(0.2)
    expect(mean).toBeLessThan(0.95)
    const private_ = (await readFile(join(ROOT, 'data/debian/clients.jsonl'), 'utf8')).trimEnd().split('\n')
    const texts = new Set(private_.map((line) => JSON.parse(line).text))
    const rows = (await readFile(join(out, 'synthetic.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(rows.filter((line) => texts.has(JSON.parse(line).text))).toEqual([])
  })
})
