// The paragraph extraction of data/debian on small stanzas made by hand.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  isBoilerplate,
  isText,
  label,
  maintainerKey,
  namesSomebody,
  paragraphs,
  peopleIn,
  stanzas,
  templateKey,
} from '../../data/debian/parse.mjs'

describe('stanzas', () => {
  it('reads fields and keeps continuation lines', () => {
    const control =
      'Package: a\nDescription-en: short\n Long one.\n .\n Long two.\n\nPackage: b\nSection: contrib/net\n'
    expect([...stanzas(control)]).toEqual([
      { Package: 'a', 'Description-en': 'short\n Long one.\n .\n Long two.' },
      { Package: 'b', Section: 'contrib/net' },
    ])
  })

  it('drops the area of a section', () => {
    expect([label('contrib/net'), label('net')]).toEqual(['net', 'net'])
  })
})

describe('paragraphs', () => {
  it('leaves out the synopsis and joins lines with single spaces', () => {
    expect(paragraphs('the synopsis\n A first  paragraph\n of two lines.\n .\n A second.')).toEqual([
      'A first paragraph of two lines.',
      'A second.',
    ])
  })

  it.each([
    [' * item', 'star'],
    [' - item', 'dash'],
    [' o item', 'letter'],
    [' 1. item', 'number'],
    ['  verbatim', 'indent'],
  ])('drops the list from its first item on: %s', (item) => {
    expect(paragraphs(`s\n It does one thing well. It also has:\n${item}\n the rest of the item`)).toEqual([
      'It does one thing well.',
    ])
  })

  it('gives nothing for a lead-in, a list or an unfinished line alone', () => {
    expect(paragraphs('s\n It offers:\n  * one\n .\n  * two\n .\n no full stop')).toEqual([])
  })

  it('does not take the word "one" for the bullet "o"', () => {
    expect(paragraphs('s\n A tool that is\n one of a kind.')).toEqual(['A tool that is one of a kind.'])
  })

  it('never yields runs of white space or a list marker at the start', () => {
    const line = fc.stringMatching(/^ [A-Za-z*. -]{1,30}$/)
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
        for (const text of paragraphs(['s', ...lines].join('\n'))) {
          expect(text).not.toMatch(/\s\s|^[*-] /)
          expect(text).toMatch(/[.!?]/)
        }
      }),
    )
  })
})

describe('isText', () => {
  const words = (count: number) => `Word ${'word '.repeat(count - 2)}word.`

  it('takes 15 to 120 words', () => {
    expect([14, 15, 120, 121].map((count) => isText(words(count)))).toEqual([false, true, true, false])
  })

  it.each([
    'someone@example.invalid',
    'http://example.invalid/x',
    'www.example',
    'example.org',
    'a->b',
    '{x}',
  ])('refuses %s', (token) => {
    expect(isText(words(20).replace('Word', `Word ${token}`))).toBe(false)
  })
})

describe('isBoilerplate', () => {
  it.each([
    'This package contains the development files.',
    'This package provides the shared library that programs need at run time and nothing else at all.',
    'This metapackage depends on everything that a desktop needs.',
    'This is a transitional package. It can be removed safely.',
    'The foo package contains header files.',
  ])('drops: %s', (text) => expect(isBoilerplate(text)).toBe(true))

  it.each([
    'This package contains a game in which a penguin slides down a mountain and collects herring.',
    'A library that draws maps of the moon.',
  ])('keeps: %s', (text) => expect(isBoilerplate(text)).toBe(false))
})

describe('templateKey', () => {
  it('is equal for texts that differ in their own names and in numbers', () => {
    const one = templateKey('Language data 4.1 for foo-fra, the OCR engine.', 'foo-fra', 'foo')
    const two = templateKey('Language data 5 for foo-deu, the OCR engine.', 'foo-deu', 'foo')
    expect(one).toBe(two)
  })

  it('differs where the words do', () => {
    expect(templateKey('A red fox.', 'a-b')).not.toBe(templateKey('A grey fox.', 'a-b'))
  })
})

describe('people', () => {
  it('keys a maintainer by address, whatever the name', () => {
    expect(maintainerKey('Jane Roe <JR@x.invalid>')).toBe(maintainerKey('J. Roe <jr@x.invalid>'))
  })

  it('finds full names of maintainers and uploaders in a text', () => {
    const names = new Set(
      peopleIn('Jane Roe <a@x.invalid>, "Doe, John" <b@x.invalid>, Team').map((name) => name.toLowerCase()),
    )
    expect([...names]).toEqual(['jane roe', 'doe john'])
    expect(namesSomebody("It draws Jane Roe's maps.", names)).toBe(true)
    expect(namesSomebody('Written by Jane Roe.', names)).toBe(true)
    expect(namesSomebody('Jane draws a roe.', names)).toBe(false)
  })
})
