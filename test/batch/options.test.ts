// The options that a batch gives to train and evaluate: a mistake is told before a job begins, with file, line and key.
import { existsSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { loadBatch } from '../../src/batch/config.ts'
import { checkStepOptions } from '../../src/cli/batch-options.ts'
import { main } from '../../src/cli/main.ts'

afterEach(() => {
  vi.restoreAllMocks()
})

async function file(...lines: string[]): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'batch-options-')), 'batch.yaml')
  const head = ['name: b', 'base: none.yaml', 'output: { folder: out }', 'steps: [generate, train, evaluate]']
  await writeFile(path, [...head, ...lines, ''].join('\n'))
  return path
}
const check = async (path: string) => checkStepOptions(await loadBatch(path))

describe('the options of the steps', () => {
  it('are those of the commands, with their values', async () => {
    const path = await file(
      'train: { epochs: 5, learning-rate: 0.001, schedule: cosine, pretrain: false, quiet: true, layers: 2 }',
      'evaluate: { expand-only: true, sample: 10, metrics: fidelity, model: other=models/base }',
    )
    await expect(check(path)).resolves.toBeUndefined()
  })

  it('that no command takes are told all at once', async () => {
    const path = await file(
      'train:',
      ...['epoch: 5', 'layers: -3', 'epochs: many', 'heads: true', 'out: x', 'help: true'].map(
        (l) => `  ${l}`,
      ),
      'evaluate: { sample: 0, resume: true }',
    )
    await expect(check(path)).rejects.toMatchObject({
      code: 'config',
      message: [
        '8 problems in the batch:',
        `${path}:6:10: train.epoch: Unknown argument: epoch`,
        `${path}:7:11: train.layers: Too small: expected number to be >=1`,
        `${path}:8:11: train.epochs: Invalid input: expected number, received NaN`,
        `${path}:9:10: train.heads: Not enough arguments following: heads`,
        `${path}:10:8: train.out: expected another option, as the batch sets this one itself`,
        `${path}:11:9: train.help: Unknown argument: help`,
        `${path}:12:21: evaluate.sample: expected --sample to be a whole number from 1 up, got 0`,
        `${path}:12:32: evaluate.resume: expected another option, as the batch sets this one itself`,
      ].join('\n'),
    })
  })

  it('that exclude each other are told', async () => {
    const path = await file('train: { from: a/b, layers: 3 }')
    await expect(check(path)).rejects.toMatchObject({
      code: 'config',
      message: `${path}:5:8: train: expected no layers beside --from: a checkpoint brings its own architecture and vocabulary`,
    })
  })

  it.each([[['--list']], [[]]])('are checked before anything is done: batch FILE %j', async (more) => {
    let stderr = ''
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      stderr += text
      return true
    })
    const path = await file('train: { epoch: 5 }')
    expect(await main(['batch', path, ...more])).toBe(3)
    expect(stderr).toContain(`${path}:5:17: train.epoch: Unknown argument: epoch`)
    expect(existsSync(join(path, '../out'))).toBe(false)
  })
})
