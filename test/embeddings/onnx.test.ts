// The real loading and running code on a model of a few kB (test/golden/tiny-model.py).
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { row } from '../../src/embeddings/matrix.ts'
import { createOnnxEmbedder, type OnnxEmbedderOptions } from '../../src/embeddings/onnx.ts'
import { encodeModel } from '../../src/embeddings/onnx-graph.ts'
import { embedderContract } from './contract.ts'

const tiny = join(import.meta.dirname, '../golden/tiny-model')
const options: OnnxEmbedderOptions = {
  folder: tiny,
  dtype: 'fp32',
  device: 'cpu',
  maxTokens: 32,
  modelId: 'tiny',
  sha256: '0'.repeat(64),
}

embedderContract('the ONNX embedder with a tiny model', {
  create: () => createOnnxEmbedder(options),
  near: ['the cat sat on the mat', 'a cat sat on the old mat', 'cold dark rain'],
  // The sum over the tokens is taken in another order for another number of them.
  batchTolerance: 1e-6,
})

describe('the ONNX embedder', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pretext-embedder-'))
    await cp(tiny, folder, { recursive: true })
  })
  afterEach(() => rm(folder, { recursive: true }))

  it('records what it is', async () => {
    const embedder = await createOnnxEmbedder(options)
    expect(embedder.identity).toEqual({
      kind: 'onnx',
      model: 'tiny',
      sha256: '0'.repeat(64),
      dtype: 'fp32',
      pooling: 'mean of 32 tokens',
      normalised: true,
      dim: 16,
    })
    expect(embedder.device).toEqual({ name: 'cpu', why: 'as configured' })
    await embedder.dispose()
  })

  it('reads a text up to maxTokens and keeps the closing token', async () => {
    const embedder = await createOnnxEmbedder(options)
    // 32 tokens are [CLS], 30 words and [SEP].
    const rows = await embedder.embed(['cat '.repeat(30), `${'cat '.repeat(30)} river`, 'cat '.repeat(29)])
    expect(row(rows, 1)).toEqual(row(rows, 0))
    expect(row(rows, 2)).not.toEqual(row(rows, 0))
    await embedder.dispose()
  })

  it('says which file of the folder is missing', async () => {
    await expect(createOnnxEmbedder({ ...options, folder, dtype: 'int8' })).rejects.toThrow(
      `expected the file onnx/model_int8.onnx in the model folder ${folder}, found none`,
    )
    await rm(join(folder, 'tokenizer.json'))
    await expect(createOnnxEmbedder({ ...options, folder })).rejects.toMatchObject({
      code: 'dependency',
      message: `expected the file tokenizer.json in the model folder ${folder}, found none`,
    })
  })

  it('says that a damaged model did not load', async () => {
    await writeFile(join(folder, 'onnx/model.onnx'), 'no model')
    await expect(createOnnxEmbedder({ ...options, folder })).rejects.toMatchObject({
      code: 'dependency',
      message: expect.stringMatching(/^the model could not be loaded and run on cpu: /),
      hint: 'the model file may be damaged: remove it and fetch it again',
    })
  })

  it('says what maxTokens may be', async () => {
    await expect(createOnnxEmbedder({ ...options, maxTokens: 65 })).rejects.toMatchObject({
      code: 'config',
      message: 'expected maxTokens to be an integer from 4 to 64 (what the model has positions for), got 65',
    })
  })

  it.each(['attention_mask', undefined])(
    'counts no padding, whatever the model gives there (mask: %s)',
    async (mask) => {
      // The state of a token is a row of a table, and that of padding is no number.
      const table = Float32Array.from({ length: 2 * 35 }, (_, i) => (i < 2 ? Number.NaN : Math.sin(i)))
      const input = (name: string) => ({ name, type: 'int64', dims: ['texts', 'tokens'] }) as const
      const model = encodeModel({
        name: 'table',
        nodes: [{ type: 'Gather', inputs: ['table', 'input_ids'], outputs: ['last_hidden_state'] }],
        constants: [{ name: 'table', type: 'float32', dims: [35, 2], data: table }],
        inputs: [input('input_ids'), ...(mask === undefined ? [] : [input(mask)])],
        outputs: [{ name: 'last_hidden_state', type: 'float32', dims: ['texts', 'tokens', 2] }],
      })
      await writeFile(join(folder, 'onnx/model.onnx'), model)
      const embedder = await createOnnxEmbedder({ ...options, folder })
      const [alone] = [await embedder.embed(['the cat'])]
      const together = await embedder.embed(['the cat', 'a cat sat on the old mat'])
      expect(alone?.values.every(Number.isFinite)).toBe(true)
      expect(row(together, 0)).toEqual(alone?.values)
      await embedder.dispose()
    },
  )

  it('goes on to the end of what it does when it is disposed, and the process with it', async () => {
    const script = `
      import { createEmbedder } from ${JSON.stringify(new URL('../../src/embeddings/create.ts', import.meta.url).href)}
      const embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'cpu' })
      const texts = Array.from({ length: 200 }, (_, i) => 'some words of a text '.repeat(10) + i)
      const works = Array.from({ length: 20 }, () => embedder.embed(texts))
      setTimeout(() => embedder.dispose(), 200)
      const ends = await Promise.allSettled(works)
      const { status, reason } = ends.at(-1)
      console.log(status + ': ' + reason?.message)
    `
    const { stdout } = await promisify(execFile)(process.execPath, [
      '--import',
      'tsx',
      '--input-type=module',
      '-e',
      script,
    ])
    expect(stdout.trim()).toBe('rejected: a thread has ended')
  })

  it.each(['a thread', 'somebody else'])(
    'tells nothing of a text, nor its token ids, when the model fails on it (ONNX Runtime first loaded by %s)',
    async (first) => {
      // A tokenizer that knows one word more than the model: the lookup of its id fails inside ONNX Runtime. The process
      // is a child, so that what native code writes is caught too.
      const path = join(folder, 'tokenizer.json')
      const tokenizer = JSON.parse(await readFile(path, 'utf8'))
      tokenizer.model.vocab.canaryword = 74_321
      await writeFile(path, JSON.stringify(tokenizer))
      const script = `
      import { createOnnxEmbedder } from ${JSON.stringify(new URL('../../src/embeddings/onnx.ts', import.meta.url).href)}
      import { loadOnnxRuntime } from ${JSON.stringify(new URL('../../src/embeddings/onnx-runtime.ts', import.meta.url).href)}
      if (${first === 'somebody else'}) {
        const { InferenceSession } = await loadOnnxRuntime()
        await InferenceSession.create(${JSON.stringify(join(tiny, 'onnx/model.onnx'))})
      }
      const embedder = await createOnnxEmbedder(${JSON.stringify({ ...options, folder })})
      await embedder.embed(['the cat'])
      try {
        await embedder.embed(['the cat', 'canaryword'])
      } catch (error) {
        console.log(JSON.stringify({ name: error.name, code: error.code, text: String(error), cause: typeof error.cause }))
        console.error(error)
      }
    `
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        script,
      ])
      expect(JSON.parse(stdout)).toEqual({
        name: 'PretextError',
        code: 'unexpected',
        text: 'PretextError: the model failed while it ran; its own message is withheld because it can quote the tokens of a text',
        cause: 'undefined',
      })
      expect(stderr).toMatch(/^PretextError: the model failed/)
      expect(stdout + stderr).not.toMatch(/74321|canaryword|input_ids/)
    },
  )
})
