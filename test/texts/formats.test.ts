// One promise for every format: the same rows give the same texts, by client, whatever the file looks like.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readTexts } from '../../src/texts/read.ts'
import { newFolder, type WrittenRow, writeBytes, writers } from './write.ts'

const columns = { text: 'text', client: 'client', label: 'label' }
const rows: WrittenRow[] = [
  { client: 'anna', text: 'The first text, with a comma.', label: 'a' },
  { client: 'ben', text: 'A text with a "quote" in it', label: 'b' },
  { client: 'anna', text: 'Two lines:\nhere is the second', label: 'b' },
  { client: 'carl', text: '  Zwölf Boxkämpfer 🥊 漢字 \t inside  ', label: 'a' },
  { client: 'ben', text: 'Backslash \\ and brackets ]}[{ and \\" both', label: 'zzz' },
  { client: 'anna', text: ' \n ', label: 'a' },
  { client: '7', text: 'a null \u0000 and a line separator \u2028 in it', label: 'a' },
]

for (const [name, write] of Object.entries(writers))
  describe(name, () => {
    it('gives the texts of each client in order of appearance, trimmed, with their labels', async () => {
      const path = await writeBytes(await newFolder(), name, write(rows))
      const read = await readTexts({ path, columns, labels: ['a', 'b'], unit: 'client', kind: 'simulation' })
      const clients = Array.from({ length: read.texts.clients }, (_, i) => read.texts.read(i))
      expect(clients).toEqual([
        { texts: ['The first text, with a comma.', 'Two lines:\nhere is the second'], labels: [0, 1] },
        { texts: ['A text with a "quote" in it'], labels: [1] },
        { texts: ['Zwölf Boxkämpfer 🥊 漢字 \t inside'], labels: [0] },
        { texts: ['a null \u0000 and a line separator \u2028 in it'], labels: [0] },
      ])
      expect(read.terminalReport.revealToOwner()).toEqual({
        rows: 7,
        badRows: 0,
        tooShort: 1,
        otherLabel: 1,
        clipped: 0,
        texts: 5,
        clients: 4,
      })
    })

    it('makes each text its own client with unit: record, without asking for a client column', async () => {
      const path = await writeBytes(await newFolder(), name, write(rows))
      const { texts } = await readTexts({ path, columns: { text: 'text' }, unit: 'record', kind: 'private' })
      expect(texts.clients).toBe(6)
      expect(texts.read(2).texts).toEqual(['Two lines:\nhere is the second'])
    })

    it('gives back any text and client', async () => {
      const folder = await newFolder()
      // Trimming is a promise of its own above; here every text begins and ends with a word.
      const text = fc.string({ unit: 'binary' }).map((s) => `x${s}x`)
      const row = fc.record({ text, client: text, label: fc.constant('a') })
      let run = 0
      await fc.assert(
        fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 12 }), async (written) => {
          const path = await writeBytes(folder, `${run++}-${name}`, write(written))
          const options = {
            columns: { text: 'text', client: 'client' },
            unit: 'client',
            minClients: 1,
          } as const
          const { texts } = await readTexts({ path, ...options, kind: 'simulation' })
          const expected = grouped(written)
          expect(Array.from({ length: texts.clients }, (_, i) => texts.read(i).texts)).toEqual(
            [...expected.values()].map((of) => of.map((r) => r.text)),
          )
        }),
        { numRuns: 25 },
      )
    })
  })

function grouped(written: readonly WrittenRow[]): Map<string, WrittenRow[]> {
  const clients = new Map<string, WrittenRow[]>()
  for (const row of written) clients.set(row.client, [...(clients.get(row.client) ?? []), row])
  return clients
}

describe('several files', () => {
  it('take a client that is in two files as one client', async () => {
    const folder = await newFolder()
    const first = await writeBytes(
      folder,
      'a.jsonl',
      '{"text":"one","client":"x"}\n{"text":"two","client":"y"}\n',
    )
    const second = await writeBytes(folder, 'b.csv', 'client,text\nx,three\n')
    const { texts } = await readTexts({
      path: [first, second],
      columns: { text: 'text', client: 'client' },
      unit: 'client',
      kind: 'private',
    })
    expect(texts.clients).toBe(2)
    expect(texts.read(0).texts).toEqual(['one', 'three'])
  })
})

describe('client ids', () => {
  it('are the same person with spaces around, and as a number', async () => {
    const path = await writeBytes(
      await newFolder(),
      'a.jsonl',
      '{"t":"one","c":" 7"}\n{"t":"two","c":7}\n{"t":"three","c":"8"}\n',
    )
    const options = { path, columns: { text: 't', client: 'c' }, unit: 'client', kind: 'private' } as const
    const { texts } = await readTexts(options)
    expect(texts.clients).toBe(2)
    expect(texts.read(0).texts).toEqual(['one', 'two'])
  })
})

describe('limits', () => {
  it('leave out what is short and clip what is long to whole words, and count both for the owner', async () => {
    const path = await writeBytes(await newFolder(), 'a.csv', 'text\none\none two\none two three four\n')
    const { texts, terminalReport } = await readTexts({
      path,
      columns: { text: 'text' },
      unit: 'record',
      kind: 'private',
      minWords: 2,
      maxWords: 3,
    })
    expect([texts.read(0).texts, texts.read(1).texts]).toEqual([['one two'], ['one two three']])
    expect(terminalReport.revealToOwner()).toMatchObject({ tooShort: 1, clipped: 1, texts: 2 })
  })
})
