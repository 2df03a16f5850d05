// The readers and the filter of data/public on small documents made by hand.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  backticks,
  elements,
  htmlParagraphs,
  isPassage,
  legend,
  passages,
  percentEntries,
  plain,
  screensaver,
  wordCount,
  wordnet,
} from '../../data/public/parse.mjs'

describe('readers', () => {
  it('reads a synset with its examples', () => {
    const line =
      '00004605 29 v 03 give_forth 0 exhale 1 001 @ 00105333 v 0000 01 + 02 00 | give out (breath); "the chimney exhales smoke"  '
    expect(wordnet(line)).toEqual(['Give forth: give out (breath). The chimney exhales smoke.'])
  })

  it('leaves out a synset with a quotation of somebody', () => {
    expect(wordnet('00000001 03 n 01 rose 0 000 | a flower; "by any other name"- Shakespeare  ')).toEqual([])
  })

  it('reads backticks, not choices, and keeps placeholders for the filter to see', () => {
    expect(
      backticks('\t\t`\tYou land, Captain <last>.`\n\t\t`\t(Decline.)`\n\tdescription `A dry world.`\n'),
    ).toEqual(['You land, Captain <last>.', 'A dry world.'])
  })

  it('reads a legend over several lines', () => {
    expect(legend('name=_("X")\nlegend=_("The X are\\\n a \\"people\\".")\n\nleaders = {}')).toEqual([
      'The X are a "people".',
    ])
    expect(legend('name=_("X")')).toEqual([])
  })

  it('reads entries without keys and comments', () => {
    expect(percentEntries('%%%%\n# note\nkey\n\nA tall\nbird.\n\nIt sings.\n%%%%\n')).toEqual([
      'A tall bird.',
      'It sings.',
    ])
  })

  it('reads paragraphs of HTML, closed or not', () => {
    expect(
      htmlParagraphs('<h1>T</h1><p>One <i>two</i> &amp; three.</p>\n<p>Four<p class="x">Five<h2>S</h2>'),
    ).toEqual(['One two & three.', 'Four', 'Five'])
  })

  it('reads a description without addresses, quotations and the author', () => {
    const file =
      '<_description>\nBalls\nbounce.\nhttps://x.invalid/\n\nHe said "no".\n\nWritten by A; 2001.\n</_description>'
    expect(screensaver(file)).toEqual(['Balls bounce.'])
  })

  it('reads what follows the weight of an element', () => {
    expect(
      elements('tin\nSymbol: Sn\nAtomic weight: 118\nSoft\nmetal.\n\nlead\nAtomic weight: 207\nHeavy.\n'),
    ).toEqual(['Soft metal.', 'Heavy.'])
  })

  it('makes plain text of markup', () => {
    expect(plain('A<!-- c --> “b” <sup>1</sup>– &quot;d&quot;')).toBe('A "b" - "d"')
  })
})

describe('passages', () => {
  const sentence = (words: number) => `W${'w'.repeat(3)}${' word'.repeat(words - 1)}.`

  it('leaves a short paragraph whole and packs a long one by sentences', () => {
    expect(passages('One. Two.')).toEqual(['One. Two.'])
    const long = [20, 30, 25, 10].map(sentence).join(' ')
    expect(passages(long).map(wordCount)).toEqual([50, 35])
  })

  it('keeps every word, in order', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 }), (counts) => {
        const text = counts.map(sentence).join(' ')
        expect(passages(text).join(' ')).toBe(text)
      }),
    )
  })
})

describe('isPassage', () => {
  const good = 'The river runs past the old mill and turns its wheel, as it has done for many years.'

  it('takes prose', () => expect(isPassage(good)).toBe(true))

  it.each([
    ['no capital', good.toLowerCase()],
    ['no full stop', good.slice(0, -1)],
    ['a placeholder', good.replace('mill', '<mill>')],
    ['an address', good.replace('mill', 'mill@x.invalid')],
    ['an open quote', good.replace('old', '"old')],
    ['an open bracket', good.replace('old', '(old')],
    ['letters of another script', good.replace('mill', '步天歌')],
    ['an unwanted word', good.replace('mill', 'damned mill')],
    ['too few words', 'The river runs past.'],
    ['too many words', `${good.slice(0, -1)}${' and on'.repeat(30)}.`],
  ])('refuses %s', (_, text) => expect(isPassage(text)).toBe(false))
})
