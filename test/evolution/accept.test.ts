import { describe, expect, it } from 'vitest'
import { accept, normalisedText } from '../../src/evolution/accept.ts'
import { diversity, diversityWarning } from '../../src/report/diversity.ts'

const limits = { minWords: 4, maxWords: 12 }
const text = (raw: string, finish: 'stop' | 'length' | 'filtered' = 'stop', sources: string[] = []) => {
  const result = accept(raw, finish, sources, limits)
  return 'text' in result ? result.text : `(${result.rejected})`
}

describe('accept', () => {
  it.each([
    ['A tool that sorts files.', 'A tool that sorts files.'],
    ['  A tool\nthat   sorts files. ', 'A tool that sorts files.'],
    ['"A tool that sorts files."', 'A tool that sorts files.'],
    ['Sure! Here is one: A tool that sorts files.', 'A tool that sorts files.'],
    ['Here is the rewritten text: A tool that sorts files.', 'A tool that sorts files.'],
    ['Original Text Sample 4: A tool that sorts files.', 'A tool that sorts files.'],
    ['A tool that sorts files.<|im_end|>', 'A tool that sorts files.'],
    ['<|endoftext|> A tool</s> that sorts files.', 'A tool that sorts files.'],
    ['Sample programs that sort files.', 'Sample programs that sort files.'],
    ['I cannot assist with that request, sorry.', '(refusal)'],
    ['As an AI language model I have no files.', '(refusal)'],
    ['Too short.', '(short)'],
    ['The list of tools that follows here:', '(unfinished)'],
    ['', '(empty)'],
    ['<|im_end|>', '(empty)'],
  ])('%j -> %j', (raw, expected) => {
    expect(text(raw)).toBe(expected)
  })

  it('cuts a text that was cut off back to its last whole sentence', () => {
    expect(text('It sorts your files. It also finds', 'length')).toBe('It sorts your files.')
    expect(text('It sorts files and then it', 'length')).toBe('(unfinished)')
    expect(text('One two three four five. Six seven eight nine ten eleven twelve thirteen.')).toBe(
      'One two three four five.',
    )
  })

  it('refuses an echo of the prompt, also in other case and punctuation', () => {
    expect(text('a tool, that sorts FILES', 'stop', ['A tool that sorts files.'])).toBe('(echo)')
    expect(normalisedText('A tool, that  sorts FILES!')).toBe('a tool that sorts files')
  })

  it('calls an empty answer of a content filter a refusal', () => {
    expect(text('', 'filtered')).toBe('(refusal)')
  })
})

describe('diversity', () => {
  it('counts different n-grams and the most common opening', () => {
    const d = diversity(['This is a', 'This is b', 'Other text'])
    expect(d.distinct1).toBeCloseTo(6 / 8)
    expect(d.distinct2).toBeCloseTo(4 / 5)
    expect(d.equalOpenings).toBeCloseTo(2 / 3)
    expect(d.commonOpening).toBe('this is')
  })

  it('warns about a narrow population, and not about a small or a varied one', () => {
    const narrow = Array.from({ length: 40 }, (_, i) => `${i % 2 === 0 ? 'This is' : `Word${i} x`} text ${i}`)
    expect(diversityWarning(diversity(narrow), 40, 'of round 2')).toBe(
      '50% of the texts of round 2 begin with "this is": the sampler is too narrow; raise topP or temperature, lower minP',
    )
    const varied = Array.from({ length: 40 }, (_, i) => `Word${i} opens text ${i}`)
    expect(diversityWarning(diversity(varied), 40, 'here')).toBeUndefined()
    expect(diversityWarning(diversity(narrow.slice(0, 4)), 4, 'here')).toBeUndefined()
  })
})
