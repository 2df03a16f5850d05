// What a user is told about bad input: the place and what was expected, word for word.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import { fileProblem } from '../../src/texts/bytes.ts'
import { type ReadTextsOptions, readTexts } from '../../src/texts/read.ts'
import { newFolder, writeBytes } from './write.ts'

const folder = await newFolder()
let files = 0

/** The error of reading a file with this content, with the folder taken out of its message. */
async function failure(
  name: string,
  content: string | Uint8Array,
  options: Partial<ReadTextsOptions> = {},
): Promise<PretextError> {
  const unique = join(folder, String(files++))
  await mkdir(unique)
  return failureOf(await writeBytes(unique, name, content), options, unique)
}

async function failureOf(
  path: string,
  options: Partial<ReadTextsOptions>,
  base: string,
): Promise<PretextError> {
  const all = {
    path,
    columns: { text: 'text', client: 'client' },
    unit: 'client',
    kind: 'private',
    ...options,
  }
  const error = await readTexts(all as ReadTextsOptions & { kind: 'private' }).then(
    () => {
      throw new Error('expected an error')
    },
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(PretextError)
  const pretextError = error as PretextError
  expect(pretextError.hint).toBeTruthy()
  return new PretextError(pretextError.message.replaceAll(`${base}/`, ''), { code: pretextError.code })
}

const good = '{"text":"a good text","client":"a"}\n{"text":"another","client":"b"}\n'

describe('bad rows', () => {
  it.each([
    ['{"txt":"x"}', 'expected a JSON object with a string in "text", got an object without it'],
    ['["x"]', 'expected a JSON object with a string in "text", got a list'],
    ['"x"', 'expected a JSON object with a string in "text", got a string'],
    ['null', 'expected a JSON object with a string in "text", got null'],
    ['{"text":7,"client":"a"}', 'expected a JSON object with a string in "text", got a number in it'],
    ['{"text":"x', 'expected a JSON value, got something that is not valid JSON'],
    [
      '{"text":"x","client":""}',
      'expected a client id (a non-empty string or an integer) in "client", got an empty string',
    ],
    [
      '{"text":"x","client":"  "}',
      'expected a client id (a non-empty string or an integer) in "client", got an empty string',
    ],
    ['{"text":"x"}', 'expected a client id (a non-empty string or an integer) in "client", got nothing'],
    [
      '{"text":"x","client":1.5}',
      'expected a client id (a non-empty string or an integer) in "client", got a number',
    ],
    [
      '{"text":"x","client":12345678901234567890}',
      'expected a client id (a non-empty string or an integer) in "client", got a number too large to be exact',
    ],
  ])('%s', async (row, problem) => {
    const { message, code } = await failure('clients.jsonl', `${good}\n${row}\n`)
    expect(message).toBe(`clients.jsonl:4: ${problem}`)
    expect(code).toBe('data')
  })

  it('lists the first ten places and the count', async () => {
    const { message } = await failure('clients.jsonl', `${good}${'{}\n'.repeat(12)}`)
    const lines = message.split('\n')
    expect(lines[0]).toBe('more than 10 bad rows; the first 10:')
    expect(lines.slice(1).map((line) => /:(\d+):/.exec(line)?.[1])).toEqual([
      '3',
      '4',
      '5',
      '6',
      '7',
      '8',
      '9',
      '10',
      '11',
      '12',
    ])
  })

  it('are left out and counted for the owner with onBadRow: skip', async () => {
    const path = await writeBytes(folder, 'skip.jsonl', `${good}{}\nnonsense\n`)
    const { texts, terminalReport } = await readTexts({
      path,
      columns: { text: 'text', client: 'client' },
      unit: 'client',
      kind: 'private',
      onBadRow: 'skip',
    })
    expect(texts.texts).toBe(2)
    expect(terminalReport.revealToOwner()).toMatchObject({ rows: 4, badRows: 2 })
  })

  it('says which line is not UTF-8 in jsonl and csv, and which row in json and parquet', async () => {
    const bad = Buffer.from([0x78, 0xc3, 0x28])
    const jsonl = Buffer.concat([Buffer.from(`${good}{"text":"`), bad, Buffer.from('","client":"a"}\n')])
    expect((await failure('a.jsonl', jsonl)).message).toBe(
      'a.jsonl:3: expected UTF-8, got bytes that are not UTF-8',
    )
    const csv = Buffer.concat([Buffer.from('text,client\n"two\nlines",a\n'), bad, Buffer.from(',b\n')])
    expect((await failure('a.csv', csv)).message).toBe(
      'a.csv:4: expected a string in "text", got bytes that are not UTF-8',
    )
    const parquet = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'text', data: ['fine', bad], type: 'BYTE_ARRAY' }] }),
    )
    expect((await failure('a.parquet', parquet, { columns: { text: 'text' }, unit: 'record' })).message).toBe(
      'a.parquet: row 2: expected a string in "text", got bytes that are not UTF-8',
    )
    const json = Buffer.concat([Buffer.from('["fine", "'), bad, Buffer.from('"]')])
    expect((await failure('a.json', json, { columns: { text: 'text' }, unit: 'record' })).message).toBe(
      'a.json: row 2: expected a JSON value, got something that is not valid JSON',
    )
  })

  it('passes over a line beyond 16 MB and goes on after it', async () => {
    const long = `{"text":"${'x'.repeat(17 * 2 ** 20)}","client":"c"}\n`
    expect((await failure('a.jsonl', `${good}${long}{}\n`)).message).toBe(
      '2 bad rows:\n  a.jsonl:3: expected at most 16 MB, got a longer row\n' +
        '  a.jsonl:4: expected a JSON object with a string in "text", got an object without it',
    )
    expect((await failure('a.json', `["x","${'y'.repeat(17 * 2 ** 20)}"]`)).message).toBe(
      'a.json: after row 1: expected rows of at most 16 MB, got a longer one',
    )
  })

  it('tells a CSV row with another number of columns by the line where it begins', async () => {
    const content = 'text,client\r\n"two\r\nlines",a\r\n\r\nx,b,c\r\n'
    expect((await failure('a.csv', content)).message).toBe(
      'a.csv:5: expected 2 columns as in the header, got 3',
    )
  })
})

describe('CSV structure', () => {
  it('finds the line of a row after any number of line breaks inside and between rows', async () => {
    const cell = fc
      .array(fc.constantFrom('\n', '\r\n', 'x', ' ', '""', ','))
      .map((parts) => `"x${parts.join('')}x"`)
    const row = fc.record({ cell, blank: fc.nat(2) })
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 8 }), fc.constantFrom('\n', '\r\n'), async (rows, end) => {
        const before = `text,client${end}${rows.map((r) => `${r.cell},a${end}${end.repeat(r.blank)}`).join('')}`
        const { message } = await failure('a.csv', `${before}x,b,c${end}`)
        expect(message).toBe(`a.csv:${before.split('\n').length}: expected 2 columns as in the header, got 3`)
      }),
      { numRuns: 50 },
    )
  })

  it('names the columns that were expected, and never what came', async () => {
    expect((await failure('a.csv', 'my secret,b\nx,y\n')).message).toBe(
      'a.csv:1: expected a header row with "text", "client", got one without "text", "client"',
    )
    expect((await failure('a.csv', 'text,text,client\nx,y,z\n')).message).toBe(
      'a.csv:1: expected each column once, got "text" twice',
    )
  })

  it('tells the line of a quote inside a field and of one that is never closed', async () => {
    expect((await failure('a.csv', 'text,client\nfine,a\nnot "fine",b\nz,c\n')).message).toBe(
      'a.csv:3: expected quotes around whole fields only, got a quote inside one',
    )
    expect((await failure('a.csv', 'text,client\nfine,a\n"open,b\nz,c\n')).message).toBe(
      'a.csv:3: expected a row of at most 16 MB, got a quote that is never closed or a longer row',
    )
  })
})

describe('parquet structure', () => {
  it('names the columns that were expected', async () => {
    const parquet = parquetWriteBuffer({ columnData: [{ name: 'body', data: ['x'], type: 'STRING' }] })
    expect((await failure('a.parquet', new Uint8Array(parquet))).message).toBe(
      'a.parquet: expected the columns "text", "client", got a file without "text", "client"',
    )
  })

  it('refuses a torn file and something else', async () => {
    const whole = new Uint8Array(
      parquetWriteBuffer({ columnData: [{ name: 'text', data: ['x', 'y'], type: 'STRING' }] }),
    )
    const torn = 'a.parquet: expected a parquet file, got something else or a torn one'
    expect((await failure('a.parquet', whole.subarray(0, whole.length - 9))).message).toBe(torn)
    expect((await failure('a.parquet', 'PAR1')).message).toBe(torn)
    expect((await failure('a.parquet', 'x')).message).toBe(torn)
    const damaged = whole.slice()
    damaged.fill(0xff, 4, 24)
    expect((await failure('a.parquet', damaged, { columns: { text: 'text' }, unit: 'record' })).message).toBe(
      'a.parquet: rows 1 to 2: expected rows that can be read, got damaged or unsupported data',
    )
  })

  it('names a compression that is not known', async () => {
    const parquet = parquetWriteBuffer({
      codec: 'LZO',
      compressors: { LZO: (bytes) => bytes },
      columnData: [{ name: 'text', data: ['x'.repeat(99), 'y'], type: 'STRING' }],
    })
    const options = { columns: { text: 'text' }, unit: 'record' } as const
    expect((await failure('a.parquet', new Uint8Array(parquet), options)).message).toBe(
      'a.parquet: expected compression snappy, gzip, brotli or none, got lzo',
    )
  })
})

describe('files', () => {
  it.each(['a.jsonl', 'a.csv', 'a.json', 'a.parquet'])('says that %s is empty', async (name) => {
    expect((await failure(name, '')).message).toBe(`${name}: expected rows with texts, got an empty file`)
  })

  it.each([
    ['a.jsonl', '\n\r\n'],
    ['a.csv', 'text,client\n'],
    ['a.jsonl.gz', gzipSync('')],
    ['a.json', '[]'],
    ['a.json', '{"a": []}'],
  ])('says that %s without rows is empty', async (name, content) => {
    expect((await failure(name, content)).message).toBe(
      `${name}: expected rows with texts, got an empty file`,
    )
  })

  it('says what is missing, a folder, or of unknown kind', async () => {
    expect((await failureOf(join(folder, 'nowhere.csv'), {}, folder)).message).toBe(
      'nowhere.csv: expected a file, got nothing there',
    )
    await mkdir(join(folder, 'sub.csv'))
    expect((await failureOf(join(folder, 'sub.csv'), {}, folder)).message).toBe(
      'sub.csv: expected a file, got a folder',
    )
    expect((await failure('a.txt', 'x')).message).toBe(
      'a.txt: expected a file that ends in .jsonl, .csv, .tsv or .json (each also with .gz) or .parquet, got another ending',
    )
  })

  it('says what gzip, UTF-16 and permissions do', async () => {
    const packed = gzipSync(good.repeat(50))
    expect((await failure('a.jsonl.gz', packed.subarray(0, packed.length - 9))).message).toBe(
      'a.jsonl.gz: expected a whole gzip file, got one that ends early',
    )
    expect((await failure('a.csv.gz', packed.subarray(0, 15))).message).toBe(
      'a.csv.gz: expected a whole gzip file, got one that ends early',
    )
    expect((await failure('a.jsonl.gz', good)).message).toBe(
      'a.jsonl.gz: expected a gzip file, got damaged or other data',
    )
    expect((await failure('a.jsonl', Buffer.from(`\uFEFF${good}`, 'utf16le'))).message).toBe(
      'a.jsonl: expected UTF-8, got UTF-16',
    )
    expect(fileProblem(Object.assign(new Error('EACCES: x'), { code: 'EACCES' }), 'a.csv').message).toBe(
      'a.csv: expected a file that can be read, got one without permission',
    )
    expect(fileProblem(Object.assign(new Error('secret'), { code: 'EIO' }), 'a.csv').message).toBe(
      'a.csv: the file could not be read (EIO)',
    )
    expect(fileProblem(new Error('secret'), 'a.csv').message).toBe('a.csv: the file could not be read')
  })
})

describe('what cannot be used', () => {
  it('is texts that are all too short or of other labels', async () => {
    const { message, code } = await failure('a.jsonl', good, { minWords: 9 })
    expect([message, code]).toEqual([
      'a.jsonl: expected texts with at least 9 words, got no such text',
      'data',
    ])
    const columns = { text: 'text', client: 'client', label: 'client' }
    expect((await failure('a.jsonl', good, { columns, labels: ['z'] })).message).toBe(
      'a.jsonl: expected texts with at least one word and a label from the list, got no such text',
    )
  })

  it('is fewer clients than the minimum, without telling how many came', async () => {
    const one = '{"text":"x","client":"a"}\n{"text":"y","client":"a"}\n'
    const { message, code } = await failure('a.jsonl', one)
    expect([message, code]).toEqual(['expected at least 2 clients with a text, got fewer', 'clients'])
    expect((await failure('a.jsonl', good, { minClients: 40 })).message).toBe(
      'expected at least 40 clients with a text, got fewer',
    )
    expect((await failure('a.jsonl', one, { kind: 'simulation' })).code).toBe('clients')
    const path = await writeBytes(folder, 'one.jsonl', one)
    const options = { path, columns: { text: 'text', client: 'client' }, unit: 'client' } as const
    expect((await readTexts({ ...options, kind: 'consented' })).texts.clients).toBe(1)
  })

  it('is a config that does not say enough', async () => {
    const columns = { text: 'text', client: 'client' }
    const of = async (options: Partial<ReadTextsOptions>): Promise<string> => {
      const { message, code } = await failure('a.jsonl', good, options)
      expect(code).toBe('config')
      return message
    }
    expect(await of({ columns: { text: 'text' } })).toBe(
      'unit: client expects the name of the column with the client id, got none',
    )
    expect(await of({ columns: { ...columns, label: 'l' } })).toBe(
      'the label column "l" expects the public list of its values, got none',
    )
    expect(await of({ labels: ['a'] })).toBe('labels expects the name of the label column, got none')
    expect(await of({ columns: { ...columns, label: 'l' }, labels: ['a', 'a'] })).toBe(
      'labels expects a list of 1 to 65,535 different values, got an empty, longer or repeating one',
    )
    expect(await of({ path: [] })).toBe('expected at least one file of texts, got none')
  })
})
