// Words and clipping: whole words, never more than asked, the beginning of the text.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clipChars, clipWords, countWords, limitText } from '../../src/texts/words.ts'

const spacedText = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom(' ', '\n', '\u00a0', '\u3000', '\ufeff', '\u2028', '\t'),
    ),
  )
  .map((parts) => parts.join(''))

describe('countWords', () => {
  it('counts the runs between white space, as \\S+ does', () => {
    fc.assert(fc.property(spacedText, (text) => countWords(text) === (text.match(/\S+/g) ?? []).length))
    for (let code = 0; code <= 0xffff; code++) {
      const char = String.fromCharCode(code)
      if (countWords(char) !== (/\s/.test(char) ? 0 : 1)) expect.fail(`character ${code}`)
    }
  })
})

describe('clipWords', () => {
  it('keeps the beginning up to the end of the last allowed word', () => {
    expect(clipWords('one  two\nthree four', 3)).toBe('one  two\nthree')
    fc.assert(
      fc.property(spacedText, fc.integer({ min: 0, max: 9 }), (text, max) => {
        const clipped = clipWords(text, max)
        expect(text.startsWith(clipped)).toBe(true)
        expect(countWords(clipped)).toBe(Math.min(max, countWords(text)))
        expect(clipped).toBe(clipped.trimEnd())
      }),
    )
  })
})

describe('clipChars', () => {
  it('cuts at a word border, and a word only where it is alone', () => {
    expect(clipChars('one two three', 9)).toBe('one two')
    expect(clipChars('one two three', 7)).toBe('one two')
    expect(clipChars('one two three', 6)).toBe('one')
    expect(clipChars('unbreakable', 4)).toBe('unbr')
    expect(clipChars('🥊🥊', 3)).toBe('🥊')
  })

  it('never exceeds the bound, and keeps a beginning that is well formed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 2, max: 20 }), (raw, max) => {
        const text = raw.trim()
        const clipped = clipChars(text, max)
        expect(clipped.length).toBeLessThanOrEqual(max)
        expect(text.startsWith(clipped)).toBe(true)
        expect(clipped === '' && text !== '').toBe(false)
        expect(Buffer.from(clipped).toString()).toBe(clipped)
      }),
    )
  })
})

describe('limitText', () => {
  it('always leaves out blank texts', () => {
    expect(limitText(' \n', {}).text).toBeUndefined()
    expect(limitText('', { minWords: 0 }).text).toBeUndefined()
  })
  it('says whether it clipped, and does not call trimming that', () => {
    expect(limitText(' a b ', {})).toEqual({ text: 'a b', clipped: false })
    expect(limitText('a b c', { maxWords: 2 })).toEqual({ text: 'a b', clipped: true })
    expect(limitText('a b c', { maxChars: 4 })).toEqual({ text: 'a b', clipped: true })
  })
})
