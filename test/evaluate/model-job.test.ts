// The job "evaluate-model": sums for each client, against the same computed text by text in plain PyTorch.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { namedModel } from '../../src/evaluate/models.ts'
import { trainerPython } from '../../src/finetune/environment.ts'
import { runJob } from '../../src/finetune/run-job.ts'
import { type TinyModel, tinyModel } from './tiny-lm.ts'

let python: string
let tiny: TinyModel

beforeAll(async () => {
  python = await trainerPython()
  tiny = await tinyModel(python)
})

const copied = async () => {
  const folder = join(await mkdtemp(join(tmpdir(), 'model-')), 'm')
  await cp(tiny.folder, folder, { recursive: true })
  return folder
}

describe('next tokens', () => {
  it('are counted as by hand: no padding, no begin token, 64 tokens, whatever lies in one batch', async () => {
    const result = await runJob<'evaluate-model'>(
      {
        kind: 'evaluate-model',
        model: tiny.folder,
        texts: tiny.texts,
        microBatch: 3,
        device: 'cpu',
        threads: 1,
      },
      { python, realTexts: true },
    )
    expect(result).toMatchObject({ texts: 14, cut: 1 })
    expect(result.clients).toHaveLength(5)
    const byTokens = (list: TinyModel['clients']) => [...list].sort((a, b) => a.tokens - b.tokens)
    const expected = byTokens(tiny.clients)
    for (const [i, own] of byTokens(result.clients).entries()) {
      const golden = expected[i] as (typeof expected)[number]
      expect(own).toMatchObject({ tokens: golden.tokens, correct: golden.correct, bytes: golden.bytes })
      expect(own.crossEntropy).toBeCloseTo(golden.crossEntropy, 2)
    }
  })
})

describe('a model folder', () => {
  it('may be the output folder of a training, and may have a name', async () => {
    const folder = await copied()
    expect(await namedModel(join(folder, '..', 'm'))).toMatchObject({ name: 'corpus', folder })
    await cp(folder, join(folder, '..', 'out', 'model'), { recursive: true })
    const out = join(folder, '..', 'out')
    expect(await namedModel(`initial=${out}`)).toEqual({
      name: 'initial',
      path: out,
      folder: join(out, 'model'),
    })
  })

  it('without config, without tokenizer, or an adapter alone is refused by name', async () => {
    const folder = await copied()
    await rm(join(folder, 'tokenizer.json'))
    await expect(namedModel(folder)).rejects.toMatchObject({
      code: 'config',
      message: `${folder}: expected a tokenizer (tokenizer.json) in the model folder, found none`,
    })
    await rm(join(folder, 'config.json'))
    await expect(namedModel(folder)).rejects.toMatchObject({
      code: 'config',
      message: `${folder}: expected a model folder with config.json, found none`,
    })
    await cp(join(tiny.folder, 'config.json'), join(folder, 'adapter_config.json'))
    await expect(namedModel(folder)).rejects.toMatchObject({
      message: `${folder}: expected a whole model, got an adapter alone`,
    })
  })
})
