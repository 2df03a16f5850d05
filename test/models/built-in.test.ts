// The real built-in embedder, fetched through the store into this user's cache (about 100 MB the first time), and loaded
// by the library that it is laid out for.
import { AutoModel, AutoTokenizer, env, mean_pooling, type Tensor } from '@huggingface/transformers'
import { describe, expect, it } from 'vitest'
import { listModels } from '../../src/models/list.ts'
import { resolveModel } from '../../src/models/store.ts'

describe('all-MiniLM-L6-v2', () => {
  it('comes from somewhere, lies where transformers.js looks, and tells near texts from far ones', async () => {
    const model = await resolveModel('all-MiniLM-L6-v2')
    expect(model.files.map((file) => file.path)).toContain('onnx/model_int8.onnx')
    env.allowRemoteModels = false
    const tokenizer = await AutoTokenizer.from_pretrained(model.folder)
    const network = await AutoModel.from_pretrained(model.folder, { dtype: 'int8' })
    const inputs = await tokenizer(
      [
        'The cat sleeps on the sofa.',
        'A kitten is napping on the couch.',
        'Interest rates rose by half a percent.',
      ],
      { padding: true },
    )
    const { last_hidden_state } = (await network(inputs)) as { last_hidden_state: Tensor }
    const rows = mean_pooling(last_hidden_state, inputs.attention_mask).normalize().tolist() as number[][]
    const [cat = [], kitten = [], rates = []] = rows
    const cosine = (a: number[], b: number[]) => a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0)
    expect(cat).toHaveLength(384)
    expect(cosine(cat, kitten)).toBeGreaterThan(0.5)
    expect(cosine(cat, rates)).toBeLessThan(0.2)
    await network.dispose()
    const listed = (await listModels()).find((each) => each.id === model.id)
    expect(listed).toMatchObject({ status: 'present', totalBytes: 23_395_940 })
    const again = await resolveModel('all-MiniLM-L6-v2', { env: { ...process.env, PRETEXT_OFFLINE: '1' } })
    expect(again.source).toBe('cache')
  })
})
