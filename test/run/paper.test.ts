// configs/paper.yaml at reduced size: its own masked-fill operator, lookahead and steps on a tiny masked language model, its
// completions endpoint on a local server, and its real data files.
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../llm/server.ts'
import { runCli } from './workspace.ts'

const ROOT = resolve(import.meta.dirname, '../..')

let server: TestServer | undefined
afterEach(() => server?.close())

describe('configs/paper.yaml', () => {
  it('runs at reduced size, at the epsilon of its noise', async () => {
    server = await startServer()
    const folder = await mkdtemp(join(tmpdir(), 'paper-'))
    const set = [
      'evolution.rounds=2',
      'evolution.population=12',
      'generate.texts=10',
      'embeddings.model=hashing',
      `evolution.variation.maskedModel=${join(ROOT, 'test/golden/tiny-model')}`,
      `llm.baseUrl=${server.baseUrl}`,
      `output.folder=${folder}`,
    ].flatMap((setting) => ['--set', setting])
    const out = join(folder, 'run')
    const { code, stderr } = await runCli(
      ['generate', join(ROOT, 'configs/paper.yaml'), '--out', out, ...set],
      {
        cwd: folder,
        env: { OPENAI_API_KEY: 'local' },
      },
    )
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    const report = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'))
    // Two releases at 11.3, delta 3e-6: 0.472394.
    expect(report.privacy.epsilon).toBeCloseTo(0.472394, 6)
    expect(report.privacy).toMatchObject({ voteMode: 'counts', l2Bound: 16, noiseMultiplier: 11.3 })
    const second = (await readFile(join(out, 'rounds/0002/population.jsonl'), 'utf8')).trimEnd().split('\n')
    const origins = second.map((line) => JSON.parse(line).origin)
    // keepParents 0: every place is a variation, made by mask-fill (or its parent, where that came out unusable).
    expect(origins).toContain('mask-fill')
    expect(origins.every((origin: string) => ['mask-fill', 'kept'].includes(origin))).toBe(true)
    const bodies = server.seen.map((request) => request.path)
    expect(new Set(bodies)).toEqual(new Set(['/v1/completions']))
    expect(server.seen[0]?.body).toMatchObject({
      model: 'meta-llama/Llama-2-7b-hf',
      max_tokens: 85,
      temperature: 1,
      top_p: 1,
    })
    expect(String(server.seen[0]?.body.prompt)).toMatch(
      /Original Text Sample 1\n.*\nOriginal Text Sample 2\n.*\nOriginal Text Sample 3\n.*\nOriginal Text Sample 4\n$/,
    )
  })
})
