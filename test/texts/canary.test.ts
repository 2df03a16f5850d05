// No way out: whatever goes wrong, nothing that was in the file can be found in the error, and nothing that prints,
// serialises or inspects texts shows them.
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { columnsOf } from '../../src/texts/columns.ts'
import { PrivateTexts } from '../../src/texts/private-texts.ts'
import { type ReadTextsOptions, readTexts } from '../../src/texts/read.ts'
import { newFolder, writeBytes } from './write.ts'

const canary = 'Kanarienvogel-4711'
const reversed = [...canary].reverse().join('')
const plain = Buffer.from(canary)
const forms = [
  canary,
  'Kanarien',
  'vogel-47',
  plain.toString('base64').slice(0, 12),
  plain.subarray(1).toString('base64').slice(0, 12),
  plain.subarray(2).toString('base64').slice(0, 12),
  plain.toString('hex').slice(0, 16),
  [...plain].slice(0, 6).join(','),
  [...plain].slice(0, 6).join(', '),
  [...plain.toString('hex').slice(0, 16).matchAll(/../g)].join(' '),
  reversed,
]

/** Everything that any printer could show of a value, its causes included. */
function allOf(value: unknown): string {
  const shown = [inspect(value, { depth: 10, showHidden: true, maxArrayLength: null, maxStringLength: null })]
  shown.push(String(value), JSON.stringify(value) ?? '', JSON.stringify({ ...(value as object) }))
  if (value instanceof Error) {
    shown.push(value.message, value.stack ?? '', String((value as { hint?: unknown }).hint))
    if (value.cause !== undefined) shown.push(allOf(value.cause))
  }
  return shown.join('\n')
}

function expectNoCanary(shown: string): void {
  const lower = shown.toLowerCase()
  for (const form of forms) expect(lower.includes(form.toLowerCase()), 'the canary is out').toBe(false)
}

const parquet = (data: unknown[], type: 'STRING' | 'JSON', name = 'text'): Uint8Array =>
  new Uint8Array(parquetWriteBuffer({ columnData: [{ name, data, type }] }))
const broken = (bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice()
  copy.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 4)
  return copy
}
const notUtf8 = Buffer.from([0xc3, 0x28])
const base64 = plain.toString('base64')
const hex = plain.toString('hex')
const clients: Partial<ReadTextsOptions> = { columns: { text: 'text', client: 'client' }, unit: 'client' }

const cases: [string, string, string | Uint8Array, Partial<ReadTextsOptions>?][] = [
  ['cut JSON', 'a.jsonl', `{"text":"${canary}`],
  ['JSON that begins with it', 'a.jsonl', `${canary}\n`],
  ['its base64 as a row', 'a.jsonl', `${base64}\n`],
  ['its hex as a row', 'a.jsonl', `${hex}\n`],
  ['a key that is private', 'a.jsonl', `{"${canary}":"x"}\n`],
  ['a value of another kind', 'a.jsonl', `{"text":{"${canary}":["${canary}"]}}\n`],
  ['a client that is private', 'a.jsonl', `{"text":"x","client":"${canary}"}\n`, clients],
  ['a client of another kind', 'a.jsonl', `{"text":"x","client":["${canary}"]}\n`, clients],
  [
    'bytes that are not UTF-8',
    'a.jsonl',
    Buffer.concat([Buffer.from(`{"text":"${canary}`), notUtf8, Buffer.from('"}')]),
  ],
  ['only texts that are too short', 'a.jsonl', `{"text":"${canary}"}\n`, { minWords: 5 }],
  ['one client', 'a.jsonl', `{"text":"${canary}"}\n`],
  [
    'another label',
    'a.jsonl',
    `{"text":"x","label":"${canary}"}`,
    { columns: { text: 'text', label: 'label' }, labels: ['a'] },
  ],
  ['a CSV without header', 'a.csv', `${canary}\n${canary}\n`],
  ['a quote inside a field', 'a.csv', `text\nx ${canary} "${canary}" ${canary}\n`],
  ['text after a quoted field', 'a.csv', `text\n"${canary}"${canary}\n`],
  ['a quote never closed', 'a.csv', `text\nx\n"${canary}\n${canary}`],
  ['columns too many', 'a.csv', `text\n${canary},${canary}\n`],
  ['a TSV with commas', 'a.tsv', `${canary},text\n${canary},x\n`],
  ['bytes that are not UTF-8 in CSV', 'a.csv', Buffer.concat([Buffer.from(`text\n${canary}`), notUtf8])],
  ['a torn gzip', 'a.csv.gz', gzipSync(`text\n${canary}\n`.repeat(9)).subarray(0, 30)],
  ['a gzip that is plain', 'a.jsonl.gz', `{"text":"${canary}"}`],
  ['JSON that is one string', 'a.json', `"${canary}"`],
  ['JSON that is cut', 'a.json', `["${canary}", "${canary}`],
  ['JSON with a bad escape', 'a.json', `["\\q${canary}"]`],
  ['JSON with a bare word', 'a.json', `[${canary}]`],
  ['a private JSON key', 'a.json', `{"${canary}": "x"}`],
  ['a bad JSON key', 'a.json', `{"\\q${canary}": ["x"]}`],
  ['an object among texts', 'a.json', `["x", {"${canary}": "${canary}"}]`],
  ['another column in parquet', 'a.parquet', parquet([canary], 'STRING', 'other')],
  ['a private column name in parquet', 'a.parquet', parquet(['x'], 'STRING', canary)],
  ['damaged parquet', 'a.parquet', broken(parquet([canary, `${canary} again`], 'STRING'))],
  ['JSON in parquet', 'a.parquet', parquet([canary, `{${canary}`], 'JSON'), { minWords: 20 }],
  ['text in the place of parquet', 'a.parquet', canary.repeat(9)],
]

describe('errors of reading', () => {
  it.each(cases)('%s', async (_, name, content, options) => {
    const folder = await newFolder()
    const path = await writeBytes(folder, name, content)
    const all = { path, columns: { text: 'text' }, unit: 'record', ...options, kind: 'private' } as const
    const error = await readTexts(all).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error).toMatchObject({ name: 'PretextError', code: expect.stringMatching(/^(data|clients)$/) })
    expectNoCanary(allOf(error))
  })

  it('are found by this test where a cause quotes its input', () => {
    let cause: unknown
    try {
      JSON.parse(canary)
    } catch (error) {
      cause = error
    }
    expect(() => expectNoCanary(allOf(new Error('clean', { cause })))).toThrow()
  })
})

describe('what was read', () => {
  it('cannot be seen in PrivateTexts, its ids or its counts by anything that prints', async () => {
    const path = await writeBytes(
      await newFolder(),
      'a.jsonl',
      `{"text":"${canary}","client":"${canary}"}\n{"text":"${canary} two","client":"b"}\n`,
    )
    const read = await readTexts({ path, ...clients, kind: 'private' } as ReadTextsOptions & {
      kind: 'private'
    })
    expect(read.texts.read(0).texts).toEqual([canary])
    expectNoCanary(allOf(read))
    for (const part of [read.texts, read.clientIds, read.terminalReport]) {
      expectNoCanary(allOf(part))
      expect(JSON.stringify({ part })).toMatch(/^\{"part":"\[(PrivateTexts|ClientIds|OwnerCounts)\]"\}$/)
      expect(`${part}`).toMatch(/^\[(PrivateTexts|ClientIds|OwnerCounts)\]$/)
      expectNoCanary(inspect(structuredClone(part), { depth: 10, showHidden: true }))
      expectNoCanary(inspect(part, { depth: 10, showHidden: true, customInspect: false, getters: true }))
    }
    // Getters give counts, never texts; the report's own numbers stay behind its method.
    expect(inspect(read.terminalReport, { customInspect: false, showHidden: true, depth: 10 })).not.toMatch(
      /\d/,
    )
  })

  it('cannot be reached by the names of an object', () => {
    const texts = new PrivateTexts(columnsOf([{ texts: [canary] }, { texts: ['other'] }]))
    expect(Reflect.ownKeys(texts)).toEqual(['kind'])
    expectNoCanary(JSON.stringify(Object.entries(texts)))
  })
})
