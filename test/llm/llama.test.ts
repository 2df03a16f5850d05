// The embedded model, with the real file: the contract, and what is special about it. PRETEXT_TEST_LLM names a GGUF of
// SmolLM2-135M-Instruct; without it the model store finds one.
import { createHash } from 'node:crypto'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLlamaModel, type LlamaOptions } from '../../src/llm/llama.ts'
import type { LanguageModel, Sampling } from '../../src/llm/model.ts'
import { resolveModel } from '../../src/models/store.ts'
import { keepsTheContract } from './contract.ts'
import { EXAMPLES, fewShotPrompt, request } from './requests.ts'

let file: Pick<LlamaOptions, 'modelPath' | 'sha256'>

beforeAll(async () => {
  const given = process.env.PRETEXT_TEST_LLM
  const options = given === undefined ? {} : { path: given }
  const [gguf] = (await resolveModel('SmolLM2-135M-Instruct-Q8_0', options)).files
  file = { modelPath: gguf?.absolutePath ?? '', sha256: gguf?.sha256 ?? '' }
})

const open = (options: Partial<LlamaOptions> = {}) =>
  createLlamaModel({ ...file, sequences: 4, contextTokens: 512, gpu: false, ...options })

describe('llama', () => keepsTheContract(() => open(), { companyMayChangeDraws: true }))

describe('llama, more', () => {
  let model: LanguageModel
  beforeAll(async () => {
    model = await open()
  })
  afterAll(() => model?.dispose())

  it('is named by its file and its sha256', () => {
    expect(model.id).toBe('llama:SmolLM2-135M-Instruct.Q8_0.gguf@sha256:0c1d3326cd9793cf')
  })

  it('speaks the chat template of the model', async () => {
    const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }]
    const completion = await model.complete(
      request({ input: { messages }, sampling: { temperature: 0, topP: 1 }, stop: [] }),
    )
    expect(completion.text).toContain('Paris')
    // It ended by itself: the end of a turn is not text.
    expect(completion.finish).toBe('stop')
    expect(completion.text).not.toContain('<|')
  })

  it('lets no text end a turn or begin another', async () => {
    const count = async (content: string) =>
      (await model.complete(request({ input: { messages: [{ role: 'user', content }] }, maxTokens: 1 })))
        .promptTokens
    // As a special token it would be one token; as text it is several.
    expect((await count('<|im_end|>')) - (await count(''))).toBeGreaterThan(3)
  })

  it('gives the same texts for the same requests, one at a time', async () => {
    const requests = EXAMPLES.map((_, seed) =>
      request({ input: { prompt: fewShotPrompt(EXAMPLES.slice(seed)) }, seed, maxTokens: 12, stop: [] }),
    )
    const texts = async () => {
      const one = await open({ sequences: 1 })
      try {
        const found: string[] = []
        for (const asked of requests) found.push((await one.complete(asked)).text)
        return found
      } finally {
        await one.dispose()
      }
    }
    expect(await texts()).toEqual(await texts())
  })

  it('draws from all the vocabulary unless told otherwise, and greedily at temperature 0', async () => {
    const firstTokens = async (sampling: Sampling, draws: number) => {
      const seeds = Array.from({ length: draws }, (_, seed) => seed)
      const drawn = seeds.map((seed) => model.complete(request({ sampling, seed, stop: [], maxTokens: 1 })))
      return new Set((await Promise.all(drawn)).map(({ text }) => text)).size
    }
    expect(await firstTokens({ temperature: 0, topP: 1 }, 3)).toBe(1)
    expect(await firstTokens({ temperature: 5, topP: 1, topK: 1 }, 3)).toBe(1)
    expect(await firstTokens({ temperature: 5, topP: 0.01 }, 3)).toBe(1)
    expect(await firstTokens({ temperature: 5, topP: 1, minP: 0.99 }, 3)).toBe(1)
    // The library's own defaults would allow 40 different tokens.
    expect(await firstTokens({ temperature: 5, topP: 1 }, 60)).toBeGreaterThan(45)
  })

  it('keeps characters of several bytes whole', async () => {
    const input = { prompt: '日本語の文章を書いてください。今日は天気がとても良いので、' }
    const completion = await model.complete(request({ input, maxTokens: 32, seed: 2, stop: [] }))
    expect(completion.text.slice(0, -1)).not.toContain('\ufffd')
  })

  it('says how long a prompt may be, and goes on', async () => {
    const input = { prompt: 'word '.repeat(600) }
    await expect(model.complete(request({ input }))).rejects.toMatchObject({
      code: 'config',
      message: 'expected a prompt of fewer than 512 tokens (llm.contextTokens), got one of 601',
      hint: 'raise llm.contextTokens, or put fewer or shorter examples into the prompt',
    })
    expect((await model.complete(request({ seed: 11 }))).completionTokens).toBeGreaterThan(0)
  })

  it('ends at the end of the context', async () => {
    const input = { prompt: 'word '.repeat(505) }
    const completion = await model.complete(request({ input, maxTokens: 100, stop: [] }))
    expect(completion.finish).toBe('length')
    expect(completion.promptTokens + completion.completionTokens).toBe(512)
  })

  it('goes on after requests that were aborted in the middle', async () => {
    const wanted = request({ seed: 11, maxTokens: 16 })
    const before = await model.complete(wanted)
    const controller = new AbortController()
    const many = Array.from({ length: 9 }, (_, seed) =>
      model.complete(request({ seed, maxTokens: 200, stop: [] }), { signal: controller.signal }),
    )
    setTimeout(() => controller.abort(new Error('enough')), 50)
    const outcomes = await Promise.allSettled(many)
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.message)).toEqual(
      Array.from({ length: 9 }, () => 'enough'),
    )
    expect((await model.complete(wanted)).text).toBe(before.text)
  })

  it('continues an empty prompt', async () => {
    const completion = await model.complete(request({ input: { prompt: '' }, stop: [], maxTokens: 4 }))
    expect(completion.promptTokens).toBe(1)
  })

  it('refuses work once disposed, and lets what runs finish', async () => {
    const other = await open({ sequences: 1 })
    const running = other.complete(request({ maxTokens: 8, stop: [] }))
    const waiting = other.complete(request({ maxTokens: 8, stop: [], seed: 2 }))
    const refused = expect(waiting).rejects.toThrow('the language model was disposed')
    await new Promise((resolve) => setImmediate(resolve))
    await other.dispose()
    expect((await running).completionTokens).toBe(8)
    await refused
    await expect(other.complete(request())).rejects.toThrow('the language model was disposed')
  })

  it('says which file it could not load', async () => {
    const modelPath = join(await mkdtemp(join(tmpdir(), 'pretext-llama-')), 'broken.gguf')
    await writeFile(modelPath, 'GGUF, but not really')
    const sha256 = createHash('sha256').digest('hex')
    await expect(createLlamaModel({ modelPath, sha256, gpu: false })).rejects.toMatchObject({
      code: 'dependency',
      message:
        'could not load the language model broken.gguf: it does not begin like a GGUF file of version 1 to 3',
    })
  })
})
