// A generator cannot teach itself: the same model is known under each of its names.
import { describe, expect, it } from 'vitest'
import { isGenerator } from '../../src/finetune/generator.ts'

describe('the model that wrote the corpus', () => {
  const wrote = 'llama:SmolLM2-135M-Instruct.Q4_1.gguf@sha256:b179c9523d0e6a0f'

  it.each([
    'HuggingFaceTB/SmolLM2-135M-Instruct',
    'HuggingFaceTB/SmolLM2-135M-Instruct@main',
    'hub:someone/GGUFs:SmolLM2-135M-Instruct-Q8_0.gguf',
    '/models/SmolLM2-135M-Instruct.Q4_1.gguf',
    '/models/smollm2_135m_instruct',
    'SmolLM2-135M-Instruct-Q4_1',
  ])('is %s', (name) => {
    expect(isGenerator(name, wrote)).toBe(true)
  })

  it.each([
    'HuggingFaceTB/SmolLM2-135M',
    'HuggingFaceTB/SmolLM2-360M-Instruct',
    'google/gemma-3-270m',
    'models/base',
  ])('is not %s', (name) => {
    expect(isGenerator(name, wrote)).toBe(false)
  })

  it('is not guessed from the name that every training gives its result', () => {
    expect(isGenerator('models/base/model', 'llama:model.gguf@sha256:b179c9523d0e6a0f')).toBe(false)
  })

  it('of an API is known by its name too', () => {
    expect(isGenerator('meta-llama/Llama-3.1-8B-Instruct', 'openai:meta-llama/Llama-3.1-8B-Instruct')).toBe(
      true,
    )
    expect(isGenerator('google/gemma-3-270m', 'huggingface:google/gemma-3-270m')).toBe(true)
  })
})
