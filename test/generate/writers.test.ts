// Promises of the corpus files: each is read back by an independent reader, appears whole or not at all, and refuses
// bad rows by number without repeating them.
import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { asyncBufferFromFile, parquetMetadata, parquetReadObjects } from 'hyparquet'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parse as parseYaml } from 'yaml'
import { PretextError } from '../../src/errors.ts'
import type { PretextEvent } from '../../src/events.ts'
import { checkFineTuneFile, fineTuneFault, writeFineTune } from '../../src/finetune/openai-dataset.ts'
import { writeCsv } from '../../src/generate/writers/csv.ts'
import { writeJsonl } from '../../src/generate/writers/jsonl.ts'
import { writeParquet } from '../../src/generate/writers/parquet.ts'
import type { CorpusRow, CorpusRows } from '../../src/generate/writers/row.ts'
import { type ExportFormat, exportCorpus } from '../../src/run/export-corpus.ts'
import { exampleReport, simulationReport } from '../report/example.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-writers-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function failure(work: Promise<unknown>): Promise<PretextError> {
  const error = await work.then(
    () => new Error('expected an error'),
    (e: unknown) => e,
  )
  if (error instanceof PretextError) return error
  throw error
}

const AWKWARD: readonly CorpusRow[] = [
  { text: 'plain', label: 'a' },
  { text: 'comma, "quoted"\nand\r\nlines\ttab', label: 'b,"c"' },
  { text: '', label: '' },
  { text: '=HYPERLINK("x")', label: '@cmd' },
  { text: 'Żółć 🙂 مرحبا \u2028 \u0000 end' },
  { text: ' spaces around ', label: 'a' },
]

/** What each format must give back: rows as objects, an absent label as undefined. */
const READERS: readonly {
  readonly format: string
  readonly write: (rows: CorpusRows, path: string) => Promise<number>
  readonly read: (path: string) => Promise<CorpusRow[]>
  /** CSV cannot tell an empty label from none. */
  readonly same: (row: CorpusRow) => CorpusRow
}[] = [
  {
    format: 'jsonl',
    write: writeJsonl,
    read: async (path) =>
      (await readFile(path, 'utf8'))
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line)),
    same: (row) => row,
  },
  {
    format: 'csv',
    write: writeCsv,
    read: async (path) =>
      parse<{ text: string; label?: string }>(await readFile(path), {
        columns: true,
        recordDelimiter: '\r\n',
      }).map(({ text, label }) => ({ text, ...(label ? { label } : {}) })),
    same: ({ text, label }) => ({ text, ...(label ? { label } : {}) }),
  },
  {
    format: 'parquet',
    write: writeParquet,
    read: async (path) =>
      (await parquetReadObjects({ file: await asyncBufferFromFile(path) })).map(({ text, label }) => ({
        text,
        ...(typeof label === 'string' ? { label } : {}),
      })),
    same: (row) => row,
  },
]

describe.each(READERS)('$format', ({ format, write, read, same }) => {
  const path = (): string => join(folder, `corpus.${format}`)

  it('gives back awkward rows as they were', async () => {
    expect(await write(AWKWARD, path())).toBe(AWKWARD.length)
    expect(await read(path())).toEqual(AWKWARD.map(same))
    expect(await readdir(folder)).toEqual([`corpus.${format}`])
  })

  it('gives back any rows', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(fc.array(text, { maxLength: 12 }), fc.option(text), async (texts, label) => {
        const rows = texts.map((t) => ({ text: t, ...(label === null ? {} : { label }) }))
        await write(rows, path())
        expect(await read(path())).toEqual(rows.map(same))
      }),
      { numRuns: 40 },
    )
  })

  it('takes an async source, and has no label column without labels', async () => {
    async function* source(): AsyncGenerator<CorpusRow> {
      yield { text: 'one' }
      yield { text: 'two' }
    }
    expect(await write(source(), path())).toBe(2)
    expect(await read(path())).toEqual([{ text: 'one' }, { text: 'two' }])
    if (format === 'csv') expect(await readFile(path(), 'utf8')).toBe('text\r\n"one"\r\n"two"\r\n')
    if (format === 'parquet') {
      expect(
        parquetMetadata((await readFile(path())).buffer as ArrayBuffer).schema.map((s) => s.name),
      ).not.toContain('label')
    }
  })

  it('writes an empty corpus, and replaces an old file', async () => {
    await writeFile(path(), 'old')
    expect(await write([], path())).toBe(0)
    expect(await read(path())).toEqual([])
  })

  it('shows half a surrogate pair as U+FFFD', async () => {
    await write([{ text: 'a\ud83dz' }], path())
    expect(await read(path())).toEqual([{ text: 'a\ufffdz' }])
  })

  it('refuses a row that is none, by number, and leaves the old file', async () => {
    await writeFile(path(), 'old')
    const bad = await failure(write([{ text: 'ok' }, { text: 7 } as unknown as CorpusRow], path()))
    expect(bad.message).toBe('row 2: expected a "text" that is a string, got number')
    expect(bad.code).toBe('data')
    const label = await failure(write([{ text: 'ok', label: 7 } as unknown as CorpusRow], path()))
    expect(label.message).toBe('row 1: expected a "label" that is a string or absent, got number')
    expect(await readFile(path(), 'utf8')).toBe('old')
    expect(await readdir(folder)).toEqual([`corpus.${format}`])
  })

  it('refuses a label after a first row without one', async () => {
    const error = await failure(write([{ text: 'a' }, { text: 'b', label: 'x' }], path()))
    expect(error.message).toBe('row 2: expected no label, as in row 1, got one')
    expect(await readdir(folder)).toEqual([])
  })

  it.runIf(process.platform === 'linux')(
    'says that the disk is full, with the path, and leaves the old file',
    async () => {
      await writeFile(path(), 'old')
      // /dev/full is the kernel's own full disk.
      const open_ = (): ReturnType<typeof open> => open('/dev/full', 'w')
      const work = { jsonl: writeJsonl, csv: writeCsv, parquet: writeParquet }[
        format as 'jsonl' | 'csv' | 'parquet'
      ]
      const error = await failure(work(AWKWARD, path(), { open: open_ }))
      expect(error.message).toBe(`could not write ${path()}: the disk is full`)
      expect(error.code).toBe('storage')
      expect(await readFile(path(), 'utf8')).toBe('old')
    },
  )

  it('says that a folder is in the way', async () => {
    const error = await failure(write(AWKWARD, folder))
    expect(error.message).toBe(`could not write ${folder}: a folder has this name`)
    expect(error.code).toBe('storage')
  })
})

describe('csv', () => {
  it('keeps texts exactly by default and disarms formulas when asked', async () => {
    const path = join(folder, 'c.csv')
    const rows = ['=1+1', '+1', '-1', '@x', '\t=1', '\uff1d1', "it's = fine", '1-1'].map((text) => ({ text }))
    await writeCsv(rows, path)
    expect(parse(await readFile(path), { columns: true })).toEqual(rows)
    await writeCsv(rows, path, { spreadsheetSafe: true })
    expect(parse<CorpusRow>(await readFile(path), { columns: true }).map((row) => row.text)).toEqual([
      "'=1+1",
      "'+1",
      "'-1",
      "'@x",
      "'\t=1",
      "'\uff1d1",
      "it's = fine",
      '1-1',
    ])
  })
})

describe('parquet', () => {
  it('goes to the file in row groups, and repeats no text in the footer', async () => {
    const path = join(folder, 'p.parquet')
    const rows = Array.from({ length: 2500 }, (_, i) => ({
      text: `text ${i}`,
      label: i % 2 ? 'odd' : 'even',
    }))
    await writeParquet(rows, path)
    const metadata = parquetMetadata((await readFile(path)).buffer as ArrayBuffer)
    expect(metadata.row_groups.map((group) => Number(group.num_rows))).toEqual([1000, 1500])
    expect(metadata.row_groups[0]?.columns.map((column) => column.meta_data?.statistics)).toEqual([
      undefined,
      undefined,
    ])
    expect(await parquetReadObjects({ file: await asyncBufferFromFile(path) })).toEqual(rows)
  })
})

const ten = Array.from({ length: 10 }, (_, i) => ({
  text: `text ${i}\nwith a line`,
  label: i % 2 ? '$& odd' : 'even',
}))

describe('OpenAI fine-tuning file', () => {
  const path = (): string => join(folder, 'tune.jsonl')

  it('is one conversation in each line, and passes its own check', async () => {
    expect(await writeFineTune(ten, path(), { instruction: 'Write a {label} bug report.' })).toBe(10)
    const lines = (await readFile(path(), 'utf8')).split('\n')
    expect(lines.pop()).toBe('')
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      ten.map(({ text, label }) => ({
        messages: [
          { role: 'user', content: `Write a ${label} bug report.` },
          { role: 'assistant', content: text },
        ],
      })),
    )
    expect(await checkFineTuneFile(path())).toBe(10)
  })

  it('refuses fewer than 10 examples and leaves nothing', async () => {
    const error = await failure(writeFineTune(ten.slice(1), path(), { instruction: 'Write.' }))
    expect(error.message).toBe(`${path()}: expected at least 10 examples, got 9`)
    expect(await readdir(folder)).toEqual([])
  })

  it('refuses an empty instruction, a missing label, an empty text', async () => {
    expect((await failure(writeFineTune(ten, path(), { instruction: ' ' }))).message).toBe(
      'expected an instruction for the user turn, got an empty one',
    )
    const unlabelled = ten.map(({ text }) => ({ text }))
    expect((await failure(writeFineTune(unlabelled, path(), { instruction: '{label}?' }))).message).toBe(
      'row 1: the instruction has {label}, and the row has no label',
    )
    expect(
      (await failure(writeFineTune([...ten, { text: ' ' }], path(), { instruction: 'x' }))).message,
    ).toBe("row 11: expected a text for the assistant's turn, got an empty one")
  })

  it('names the file and the line of what is wrong, and repeats nothing of it', async () => {
    const good = JSON.stringify({ messages: [{ role: 'assistant', content: 'a' }] })
    await writeFile(path(), `${good}\n{"messages": secret\n`)
    expect((await failure(checkFineTuneFile(path()))).message).toBe(
      `${path()}:2: expected one JSON object in the line, got text that is not JSON`,
    )
    await writeFile(path(), `${good}\n`.repeat(9))
    expect((await failure(checkFineTuneFile(path()))).message).toBe(
      `${path()}: expected at least 10 examples, got 9`,
    )
    expect((await failure(checkFineTuneFile(join(folder, 'none')))).message).toBe(
      `expected a fine-tuning file at ${join(folder, 'none')}, found none`,
    )
  })

  const user = { role: 'user', content: 'q' }
  const answer = { role: 'assistant', content: 'a' }
  it.each([
    ['null', 'expected {"messages": [...]}, got no list of messages'],
    ['{"prompt":"x"}', 'expected {"messages": [...]}, got no list of messages'],
    [{ messages: [] }, 'expected at least one message, got an empty list'],
    [
      { messages: [null] },
      'message 1: expected a role out of system, developer, user, assistant, got another',
    ],
    [
      { messages: [user, { role: 'bot', content: 'a' }] },
      'message 2: expected a role out of system, developer, user, assistant, got another',
    ],
    [
      { messages: [user, { role: 'assistant', content: 5 }] },
      'message 2: expected content that is a string, got number',
    ],
    [
      { messages: [user, { role: 'assistant', content: '\n' }] },
      'message 2: expected content, got an empty string',
    ],
    [{ messages: [answer, user] }, "expected the assistant's message last, got another role"],
    [
      { messages: [user, { ...answer, weight: 0.5 }] },
      'message 2: expected a weight of 0 or 1 on an assistant message, got another',
    ],
    [
      { messages: [{ ...user, weight: 1 }, answer] },
      'message 1: expected a weight of 0 or 1 on an assistant message, got another',
    ],
    [
      { messages: [user, { ...answer, weight: 0 }] },
      'expected an assistant message with a weight of 1, got only 0',
    ],
    [{ messages: [user, { ...answer, weight: 1 }] }, undefined],
  ])('judges %j', (line, fault) => {
    expect(fineTuneFault(typeof line === 'string' ? line : JSON.stringify(line))).toBe(fault)
  })
})

describe('exportCorpus', () => {
  const report = exampleReport()

  it.each<[ExportFormat, string[]]>([
    ['jsonl', ['out']],
    ['csv', ['out']],
    ['parquet', ['out']],
    ['openai', ['out']],
  ])('writes %s and says where it is', async (format, files) => {
    const events: PretextEvent[] = []
    const target = join(folder, 'out')
    const options = { report, instruction: 'Write.', onEvent: (event: PretextEvent) => events.push(event) }
    expect(await exportCorpus(ten, format, target, options)).toBe(target)
    expect(await readdir(folder)).toEqual(files)
    expect(events).toEqual([{ type: 'artefact', kind: format, path: target }])
  })

  it('lays the simulation banner beside a file, and takes it away when a real corpus replaces it', async () => {
    const target = join(folder, 'out.jsonl')
    await exportCorpus(ten, 'jsonl', target, { report: simulationReport() })
    expect((await readdir(folder)).sort()).toEqual(['out.jsonl', 'out.jsonl.SIMULATION.txt'])
    expect(await readFile(`${target}.SIMULATION.txt`, 'utf8')).toMatch(
      /^Simulation\. The texts behind this run/,
    )
    await exportCorpus(ten, 'jsonl', target, { report })
    expect(await readdir(folder)).toEqual(['out.jsonl'])
  })

  it('needs an instruction for openai', async () => {
    const error = await failure(exportCorpus(ten, 'openai', join(folder, 'out'), { report }))
    expect(error.message).toBe('expected an instruction for the user turn of each example, got none')
    expect(error.code).toBe('usage')
  })

  it('writes a dataset folder whose card points at the data in it', async () => {
    const target = join(folder, 'set')
    await exportCorpus(ten, 'dataset', target, { report, card: { language: ['en', 'de'] } })
    const card = await readFile(join(target, 'README.md'), 'utf8')
    const matter = parseYaml(card.split('---\n')[1] ?? '')
    expect(matter.language).toEqual(['en', 'de'])
    const data = join(target, matter.configs[0].data_files[0].path)
    expect(await parquetReadObjects({ file: await asyncBufferFromFile(data) })).toEqual(ten)
  })
})
