// The batch file: all its problems at once with their lines, and the jobs that follow from it.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadBatch } from '../../src/batch/config.ts'
import { jobsOf } from '../../src/batch/jobs.ts'
import { loadConfig } from '../../src/config/load.ts'

async function file(text: string): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'batch-')), 'batch.yaml')
  await writeFile(path, text)
  return path
}
const batch = async (text: string) =>
  loadBatch(await file(`name: b\nbase: c.yaml\noutput: { folder: out }\n${text}`))

describe('the batch file', () => {
  it('configs/batch.yaml is valid, and so is the config of each of its jobs', async () => {
    const example = await loadBatch(resolve(import.meta.dirname, '../../configs/batch.yaml'))
    const jobs = jobsOf(example)
    expect(jobs.map((job) => job.id)).toEqual([
      'epsilon-1.29_seed-0',
      'epsilon-1.29_seed-1',
      'epsilon-7.58_seed-0',
      'epsilon-7.58_seed-1',
    ])
    for (const job of jobs) {
      const { config } = await loadConfig(example.basePath, { set: job.settings })
      expect(String(config.privacy.epsilon)).toBe(job.values.epsilon)
      expect(config.generate.texts).toBe(60)
    }
  })

  it('says everything that is wrong, with file, line and column', async () => {
    const path = await file(
      'name: a b\nbase: c.yaml\nmatrix:\n  seed: []\nsteps: [train]\nshares: 0\noutput: {}\n',
    )
    await expect(loadBatch(path)).rejects.toMatchObject({
      code: 'config',
      message: [
        '5 problems in the batch:',
        `${path}:1:7: name: expected letters, digits, ".", "_" or "-"`,
        `${path}:4:9: matrix.seed: expected at least one value`,
        `${path}:6:9: shares: Too small: expected number to be >0`,
        `${path}:7:9: output.folder: Invalid input: expected string, received undefined`,
      ]
        .join('\n')
        .replace('5 problems', '4 problems'),
    })
  })

  it('needs generate among the steps, and puts them in order', async () => {
    await expect(batch('steps: [evaluate]')).rejects.toMatchObject({
      message: expect.stringMatching(/batch\.yaml:4:8: steps: expected generate among them, got none$/),
    })
    expect((await batch('steps: [evaluate, generate]')).steps).toEqual(['generate', 'evaluate'])
  })

  it('names a file that is not there', async () => {
    await expect(loadBatch('/nowhere/batch.yaml')).rejects.toMatchObject({
      code: 'config',
      message: '/nowhere/batch.yaml: expected a batch file, could not read one',
    })
  })
})

describe('jobs', () => {
  it('are the product of variants and matrix, with infinity and lists as YAML reads them', async () => {
    const jobs = jobsOf(
      await batch(
        [
          'set: { generate.texts: 5 }',
          'variants:',
          '  data:',
          '    - { name: mine, set: { data.private.path: a.jsonl, data.simulation: true } }',
          '    - { name: yours, set: { data.private.path: b.jsonl } }',
          'matrix:',
          '  privacy.epsilon: [1, .inf]',
          '  evolution.population: [[64, 32]]',
        ].join('\n'),
      ),
    )
    expect(jobs).toHaveLength(4)
    expect(jobs[1]).toMatchObject({
      index: 1,
      values: { data: 'mine', epsilon: 'inf', population: '[64,32]' },
      settings: [
        'generate.texts=5',
        'data.private.path="a.jsonl"',
        'data.simulation=true',
        'privacy.epsilon=.inf',
        'evolution.population=[64,32]',
      ],
    })
    expect(jobs[1]?.id).toMatch(/^data-mine_epsilon-inf_population-_64_32_-[0-9a-f]{8}$/)
    expect(new Set(jobs.map((job) => job.id)).size).toBe(4)
  })

  it('a value twice is refused: two jobs would share a folder', async () => {
    const twice = await batch('matrix: { seed: [1, 2, 1] }')
    expect(() => jobsOf(twice)).toThrow(
      expect.objectContaining({
        code: 'config',
        message: `${twice.file}: expected different jobs, got seed-1 twice`,
      }),
    )
  })

  it('without a matrix there is one job', async () => {
    expect(jobsOf(await batch(''))).toMatchObject([{ id: expect.stringMatching(/^job-/), settings: [] }])
  })
})
