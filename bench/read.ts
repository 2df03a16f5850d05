// Reading of a large file of texts: seconds and peak memory, for each format. Run: npx tsx bench/read.ts [texts] [format]
// Every format runs in a process of its own, because the peak is the process's.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer'
import { seededRandom } from '../src/random.ts'
import { readTexts } from '../src/texts/read.ts'
import { formatOfPath, TEXT_FORMATS } from '../src/texts/source.ts'

const CLIENTS = 20_000
const words = Array.from({ length: 5000 }, (_, i) => `w${(i * 7919).toString(36)}`)

/** Texts of about 200 bytes, whose clients lie scattered through the file. */
async function write(path: string, texts: number): Promise<void> {
  const random = seededRandom(1, 'bench', 'read')
  const row = (): { client: string; text: string } => {
    let text = random.pick(words)
    while (text.length < 200) text += ` ${random.pick(words)}`
    return { client: `c${random.integer(CLIENTS)}`, text }
  }
  const format = formatOfPath(path)
  if (format === 'parquet') return writeParquet(path, texts, row)
  const out = createWriteStream(path)
  const edges = {
    jsonl: ['', '', ''],
    csv: ['client,text\n', '', ''],
    tsv: ['client\ttext\n', '', ''],
    json: ['[', ',', ']'],
  }
  const [before, between, after] = edges[format] as [string, string, string]
  out.write(before)
  for (let i = 0; i < texts; i++) {
    const { client, text } = row()
    const sep = format === 'tsv' ? '\t' : ','
    const line =
      format === 'csv' || format === 'tsv'
        ? `${client}${sep}"${text}"\n`
        : `${JSON.stringify({ client, text })}\n`
    if (!out.write((i > 0 ? between : '') + line)) await once(out, 'drain')
  }
  out.end(after)
  await once(out, 'finish')
}

function writeParquet(path: string, texts: number, row: () => { client: string; text: string }): void {
  const empty = [
    { name: 'client', data: [] as string[], type: 'STRING' as const },
    { name: 'text', data: [] as string[], type: 'STRING' as const },
  ]
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: schemaFromColumnData({ columnData: empty }),
  })
  for (let done = 0; done < texts; done += 100_000) {
    const rows = Array.from({ length: Math.min(100_000, texts - done) }, row)
    writer.write({
      columnData: [
        { name: 'client', data: rows.map((r) => r.client), type: 'STRING' },
        { name: 'text', data: rows.map((r) => r.text), type: 'STRING' },
      ],
    })
  }
  writer.finish()
}

async function read(path: string): Promise<void> {
  const start = performance.now()
  const { texts } = await readTexts({
    path,
    columns: { text: 'text', client: 'client' },
    unit: 'client',
    kind: 'simulation',
  })
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  const peak = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(
    `${formatOfPath(path).padEnd(8)} ${texts.texts} texts of ${texts.clients} clients: ${seconds} s, peak ${peak} MB`,
  )
}

const [first, second] = process.argv.slice(2)
if (first === '--child') await read(second as string)
else {
  const folder = await mkdtemp(join(tmpdir(), 'pretext-bench-'))
  try {
    for (const format of second === undefined ? TEXT_FORMATS : [second]) {
      const path = join(folder, `texts.${format}`)
      await write(path, Number(first ?? 1_000_000))
      const args = [...process.execArgv, fileURLToPath(import.meta.url), '--child', path]
      spawnSync(process.execPath, args, { stdio: 'inherit' })
      await rm(path)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
