// The two shapes of PrE-Text's JSON, and the cutting of JSON into elements at any chunk border.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jsonElements } from '../../src/texts/json-elements.ts'
import { readTexts } from '../../src/texts/read.ts'
import { newFolder, writeBytes } from './write.ts'

const json = async (content: string): Promise<string> => writeBytes(await newFolder(), 'a.json', content)

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
}

describe('jsonElements', () => {
  it('cuts any list at any chunk size into its elements', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.jsonValue()),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom('', '  ', '\n'),
        async (list, size, indent) => {
          const got: unknown[] = []
          for await (const { json, client } of jsonElements(
            inChunks(Buffer.from(JSON.stringify(list, undefined, indent)), size),
            'x.json',
          )) {
            expect(client).toBeUndefined()
            got.push(JSON.parse(json.toString()))
          }
          expect(JSON.stringify(got)).toBe(JSON.stringify(list))
        },
      ),
    )
  })

  it('cuts any object of lists into its elements with their keys', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string(), fc.array(fc.jsonValue(), { minLength: 1 })),
        fc.integer({ min: 1, max: 40 }),
        async (object, size) => {
          const got: Record<string, unknown[]> = Object.create(null)
          const bytes = Buffer.from(JSON.stringify(object))
          for await (const { json, client } of jsonElements(inChunks(bytes, size), 'x.json')) {
            const key = JSON.parse(String(client))
            got[key] ??= []
            got[key].push(JSON.parse(json.toString()))
          }
          expect(JSON.stringify(got)).toBe(JSON.stringify(object))
        },
      ),
    )
  })

  it.each([
    '[',
    '["a"',
    '["a",]',
    '["a" "b"]',
    '{"a"}',
    '{"a":1}',
    '{"a":[],}',
    '[]]',
    '["a"]["b"]',
    '"a"',
    '{"a":["b"]',
    '[,]',
  ])('refuses %s', async (broken) => {
    const drain = async (): Promise<void> => {
      for await (const _ of jsonElements(inChunks(Buffer.from(broken), 2), 'x.json'));
    }
    await expect(drain()).rejects.toThrow(
      /^x\.json: after row \d+: expected a list of texts, or an object of lists \(\{"client": \["text", \.\.\.\]\}\), got something else$/,
    )
  })
})

describe('PrE-Text json', () => {
  it('reads an object of lists as clients', async () => {
    const path = await json('{"1": ["one", "two"], "2": [{"text": "three"}], "3": [], "1": ["four"]}')
    const { texts } = await readTexts({ path, columns: { text: 'text' }, unit: 'client', kind: 'private' })
    expect(texts.clients).toBe(2)
    expect(texts.read(0).texts).toEqual(['one', 'two', 'four'])
    expect(texts.read(1).texts).toEqual(['three'])
  })

  it('reads a flat list of samples as records', async () => {
    const path = await json('["one", "two"]')
    const { texts } = await readTexts({ path, columns: { text: 'text' }, unit: 'record', kind: 'private' })
    expect(texts.clients).toBe(2)
  })

  it('refuses a flat list where clients are the unit', async () => {
    const path = await json('["one", "two"]')
    await expect(
      readTexts({ path, columns: { text: 'text' }, unit: 'client', kind: 'private' }),
    ).rejects.toThrow(
      'row 1: expected {"client": ["text", ...]} for unit: client, got a text without a client',
    )
  })
})
