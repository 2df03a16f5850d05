// llama.cpp reads a GGUF of each architecture as the model that Transformers has: the same tokens, and the same probabilities
// of every next token up to what 16-bit weights lose.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { getLlama, type Llama, type Token } from 'node-llama-cpp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { python } from '../trainer/python.ts'

const SCRIPT = resolve(import.meta.dirname, '../trainer/tiny_models.py')
let folder: string
let llama: Llama
let said: { sentence: string; models: Record<string, { tokens: Token[]; probabilities: number[] }> }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gguf-'))
  const { code, stdout, stderr } = await python([SCRIPT, folder])
  expect(code, stderr.slice(-3000)).toBe(0)
  said = JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)
  llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, progressLogs: false })
}, 900_000)

afterAll(async () => {
  await llama.dispose()
  await rm(folder, { recursive: true, force: true })
})

it.each(['llama', 'llama-untied', 'qwen2', 'qwen3', 'gemma3_text'])(
  '%s is the same model in llama.cpp',
  async (name) => {
    const expected = said.models[name] as (typeof said.models)[string]
    const model = await llama.loadModel({ modelPath: join(folder, `${name}.gguf`) })
    try {
      const begin = model.tokens.bos === null ? [] : [model.tokens.bos]
      const tokens = [...begin, ...model.tokenize(said.sentence)]
      expect(tokens).toEqual(expected.tokens)
      expect(model.detokenize(tokens.slice(1))).toBe(said.sentence)
      const context = await model.createContext({ contextSize: 128, threads: 1, flashAttention: false })
      const sequence = context.getSequence()
      const last = tokens.length - 1
      const everything = { temperature: 1, topK: 0, topP: 1, minP: 0 }
      const generateNext = { probabilities: true, options: everything } as const
      const input = tokens.map((token, i): Token | [Token, { generateNext: typeof generateNext }] =>
        i < last ? token : [token, { generateNext }],
      )
      const output = await sequence.controlledEvaluate(input)
      const found = output[last]?.next?.probabilities
      const differences = expected.probabilities.map((p, token) =>
        Math.abs((found?.get(token as Token) ?? 0) - p),
      )
      expect(found?.size).toBeGreaterThan(100)
      expect(Math.max(...differences)).toBeLessThan(5e-3)
      // It has something to say: equal would be what a model without weights says too.
      expect(Math.max(...expected.probabilities)).toBeGreaterThan(0.02)
    } finally {
      await model.dispose()
    }
  },
)
