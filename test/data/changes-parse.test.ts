// Debian changelogs to items with their authors, and what of them is a text.
import { describe, expect, it } from 'vitest'
import { authorKey, isSomebody, isText, items, tidy } from '../../data/changes/parse.mjs'

const CHANGELOG = `box (1.2-3) unstable; urgency=medium

  * Rebuild the index when the folder was renamed, since readers
    kept the old name open for ever. (Closes: #123456, #234567)
    - a list inside of it
    goes on after it
  [ Ada Example ]
  * Do not ask twice for the same password (LP: #99).

  [ Bob Muster ]
  * Translate the messages.

 -- Cleo Exemple <cleo@example.org>  Thu, 25 May 2023 16:11:37 +0200

box (1.2-2) unstable; urgency=low

  * Second entry.

 -- Ada Example <ada@example.org>  Thu, 18 May 2023 16:11:37 +0200
`

describe('a changelog', () => {
  it('gives each item to the heading before it, else to whoever signed the entry', () => {
    expect([...items(CHANGELOG)]).toEqual([
      {
        author: 'Cleo Exemple',
        text: 'Rebuild the index when the folder was renamed, since readers kept the old name open for ever. (Closes: #123456, #234567) goes on after it',
      },
      { author: 'Ada Example', text: 'Do not ask twice for the same password (LP: #99).' },
      { author: 'Bob Muster', text: 'Translate the messages.' },
      { author: 'Ada Example', text: 'Second entry.' },
    ])
  })

  it('leaves no number of a bug', () => {
    expect(tidy('Fix the crash  on start. (Closes: #123456, #234567)')).toBe('Fix the crash on start.')
    expect(tidy('Do not ask twice (LP: #99).')).toBe('Do not ask twice.')
    expect(tidy('Quote “this”, closes: #12')).toBe('Quote "this",')
  })

  it('takes prose, and neither addresses nor thanks', () => {
    const text =
      'Rebuild the index when the folder was renamed, since readers kept the old name open for ever.'
    expect(isText(text)).toBe(true)
    expect(isText('Too short to be a text.')).toBe(false)
    expect(isText(`${text} See https://example.org.`)).toBe(false)
    expect(isText(`${text} Thanks to somebody for the patch.`)).toBe(false)
  })

  it('knows a person by any spelling, and that programs are nobody', () => {
    expect(authorKey('José  Múñoz (jm)')).toBe(authorKey('Jose Munoz'))
    expect(isSomebody('Ada Example')).toBe(true)
    expect(isSomebody('Debian Janitor')).toBe(false)
    expect(isSomebody('root')).toBe(false)
  })
})
