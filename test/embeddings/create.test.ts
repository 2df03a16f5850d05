import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createEmbedder } from '../../src/embeddings/create.ts'

const tiny = join(import.meta.dirname, '../golden/tiny-model')

describe('the embedder of a config', () => {
  it('is lexical for hashing', async () => {
    const embedder = await createEmbedder({ model: 'hashing', device: 'auto' })
    expect(embedder.identity).toMatchObject({ kind: 'hashing', model: 'hashing', dim: 512 })
  })

  it('is what a local folder holds, named without the path to it, with the hash of its weights', async () => {
    const embedder = await createEmbedder({ model: tiny, device: 'cpu', maxTokens: 16 })
    const weights = await readFile(join(tiny, 'onnx/model.onnx'))
    expect(embedder.identity).toEqual({
      kind: 'onnx',
      model: 'tiny-model',
      sha256: createHash('sha256').update(weights).digest('hex'),
      dtype: 'fp32',
      pooling: 'mean of 16 tokens',
      normalised: true,
      dim: 16,
    })
    await embedder.dispose()
  })

  it('is what the model store finds for a name', async () => {
    const asked: unknown[] = []
    const embedder = await createEmbedder(
      { model: 'owner/name', dtype: 'fp32', device: 'cpu', maxTokens: 16 },
      {
        resolve: async (reference, options) => {
          asked.push([reference, options])
          const file = { absolutePath: '', bytes: 1, origin: 'hub' as const }
          return {
            id: 'hub:owner/name@main',
            folder: tiny,
            files: [{ ...file, path: 'onnx/model.onnx', sha256: 'f'.repeat(64) }],
          }
        },
      },
    )
    expect(asked).toEqual([['owner/name', { dtype: 'fp32' }]])
    expect(embedder.identity).toMatchObject({ model: 'hub:owner/name@main', sha256: 'f'.repeat(64) })
    await embedder.dispose()
  })

  it('refuses a dtype that the model does not come in', async () => {
    const resolve = async () => ({ id: 'x', folder: tiny, files: [] })
    await expect(
      createEmbedder({ model: 'x', dtype: 'fp16', device: 'cpu' }, { resolve }),
    ).rejects.toMatchObject({
      code: 'config',
      message: 'expected the embedder x with dtype fp16, it comes in none',
    })
  })
})
