// Public texts: in order, each once, within limits; wrong files are told as for private ones.
import { describe, expect, it } from 'vitest'
import { readPublicTexts } from '../../src/texts/public-texts.ts'
import { newFolder, writeBytes } from './write.ts'

describe('readPublicTexts', () => {
  it('gives each text once, clipped, without short ones', async () => {
    const lines = ['one two', 'three', ' one two ', 'one two three', 'four five'].map((body) =>
      JSON.stringify({ body }),
    )
    const path = await writeBytes(await newFolder(), 'a.jsonl', lines.join('\n'))
    expect(await readPublicTexts(path, 'body', { minWords: 2, maxWords: 2 })).toEqual([
      'one two',
      'four five',
    ])
  })

  it('reads a format that the ending does not tell', async () => {
    const path = await writeBytes(await newFolder(), 'a.txt', 'body\nhello\n')
    expect(await readPublicTexts(path, 'body', { format: 'csv' })).toEqual(['hello'])
  })

  it('refuses bad rows and files without texts', async () => {
    const folder = await newFolder()
    const bad = await writeBytes(folder, 'bad.jsonl', '{"body":"x"}\n{}\n')
    await expect(readPublicTexts(bad, 'body')).rejects.toThrow(
      `${bad}:2: expected a JSON object with a string in "body", got an object without it`,
    )
    const short = await writeBytes(folder, 'short.jsonl', '{"body":"x"}\n')
    await expect(readPublicTexts(short, 'body', { minWords: 3 })).rejects.toThrow(
      `${short}: expected texts with at least 3 words, got no such text`,
    )
    const none = await writeBytes(folder, 'none.csv', 'body\n')
    await expect(readPublicTexts(none, 'body')).rejects.toThrow(
      `${none}: expected rows with texts, got an empty file`,
    )
  })
})
