// The scripted model's grammar: it must write what the rounds can use, and move towards its examples.
import { describe, expect, it } from 'vitest'
import { createHashingEmbedder } from '../../src/embeddings/hashing.ts'
import { dot, row } from '../../src/embeddings/matrix.ts'
import { accept } from '../../src/evolution/accept.ts'
import { createScriptedModel } from '../../src/llm/scripted.ts'
import { EXAMPLES, fewShotPrompt, request } from './requests.ts'

const model = createScriptedModel()
const rules = { minWords: 8, maxWords: 60 }
const seeds = Array.from({ length: 60 }, (_, seed) => seed)

async function texts(prompt: string, stop: string[] = ['\n']) {
  const completions = await Promise.all(
    seeds.map((seed) => model.complete(request({ input: { prompt }, seed, maxTokens: 64, stop }))),
  )
  return completions.map(({ text }) => text)
}

describe('the scripted model', () => {
  it.each([
    ['few-shot', fewShotPrompt()],
    ['zero-shot', 'Original text sample: a review of a product, about music.\nText:'],
    ['rewrite', `A text, and the same text rewritten in different words.\nText: ${EXAMPLES[0]}\nRewritten:`],
    [
      'fill-in-blanks',
      'A text with blanks marked "_", and the same text with every blank filled.\n' +
        'Blanks: This _ draws charts _ a table of numbers, _ sensible defaults.\nFilled:',
    ],
    [
      'chat',
      `${EXAMPLES.join('\n')}\nWrite one more text of the same kind. Answer with the text alone, on one line.`,
    ],
  ])('writes texts that a round accepts: %s', async (_name, prompt) => {
    const written = await texts(prompt)
    const accepted = written.filter((text) => 'text' in accept(text, 'stop', EXAMPLES, rules))
    expect(accepted.length).toBeGreaterThan(50)
    expect(new Set(written).size).toBeGreaterThan(20)
    expect(written.join('')).not.toMatch(/_|Original|Blanks|Answer/)
  })

  it('continues a beginning', async () => {
    const prompt = `${fewShotPrompt(EXAMPLES.slice(1))}This library draws charts`
    for (const text of await texts(prompt)) expect(text).toMatch(/^ \S.*\.$/)
  })

  it('writes nearer to its examples than to others, by words', async () => {
    const embedder = createHashingEmbedder()
    const others = [
      'Dinner by the river was wonderful, and the waiter remembered our names.',
      'The match ended in a draw after a late goal by the youngest player.',
      'Rain is expected over the hills until the evening, with strong wind.',
    ]
    const written = await embedder.embed(await texts(fewShotPrompt()))
    const examples = await embedder.embed([...EXAMPLES, ...others])
    const similarity = (i: number, j: number) => dot(row(written, i), row(examples, j))
    const nearest = seeds.map((i) => {
      const all = [0, 1, 2, 3, 4, 5].map((j) => similarity(i, j))
      return all.indexOf(Math.max(...all))
    })
    expect(nearest.filter((j) => j < 3).length).toBe(seeds.length)
  })

  it('is another model under another name, and answers as its script says', async () => {
    const parrot = createScriptedModel({ name: 'parrot', answer: ({ seed }) => `number ${seed}` })
    expect(parrot.id).toBe('scripted:parrot')
    expect((await parrot.complete(request({ seed: 7 }))).text).toBe('number 7')
    await parrot.dispose()
    await expect(parrot.complete(request())).rejects.toThrow('the language model was disposed')
  })
})
