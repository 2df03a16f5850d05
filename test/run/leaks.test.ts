// Never leaks: canaries in the private data are searched for in the run folder, ledger, cache, stdout, stderr and Node's
// own reports, after success, malformed rows, a forced crash and Ctrl-C at several moments. (bad-input.test.ts and
// resume.test.ts do the same for every other failure of the job.)
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterEach, describe, expect, it } from 'vitest'
import { startServer, type TestServer } from '../llm/server.ts'
import {
  CANARY,
  CLIENT_CANARY,
  type ConfigObject,
  filesBelow,
  leaks,
  leaksIn,
  runCli,
  sentence,
  startCli,
  workspace,
} from './workspace.ts'

let server: TestServer | undefined
afterEach(async () => {
  await server?.close()
  server = undefined
})

const text = sentence(1000, `${CANARY}0`)

describe('the search', () => {
  it.each([
    ['plain', `x${CANARY}x`],
    ['upper case', CANARY.toUpperCase()],
    ['reversed', [...CANARY].reverse().join('')],
    ['hex', Buffer.from(`a ${text}`).toString('hex')],
    ...[0, 1, 2].map((pad) => [`base64 at ${pad}`, Buffer.from('x'.repeat(pad) + text).toString('base64')]),
    ['bytes', JSON.stringify([...Buffer.from(text)])],
    ['unicode escapes', [...CANARY].map((c) => `\\u00${c.charCodeAt(0).toString(16)}`).join('')],
    ['percent bytes', [...CANARY].map((c) => `%${c.charCodeAt(0).toString(16)}`).join('')],
    ['token pieces', '["zebra", "##finch", "##quartz", "##44", "##17"]'],
    ['sentencepieces', '▁zebra finch quartz 4 4 1 7'],
    ['a client id', JSON.stringify({ id: `${CLIENT_CANARY}-3` })],
    ['8 words of a text', text.split(' ').slice(2, 10).join(' ')],
    ['8 words, url-encoded', encodeURIComponent(text.split(' ').slice(2, 10).join(' '))],
    ['8 words, one a line', JSON.stringify(text.split(' ').slice(2, 10).join('\n'))],
  ])('finds %s', (_, content) => {
    expect(leaksIn(content as string)).not.toEqual([])
  })

  it('finds hashes of texts and ids, and nothing in other texts', async () => {
    const { createHash } = await import('node:crypto')
    for (const [secret, algorithm] of [
      [text, 'sha256'],
      [CLIENT_CANARY, 'md5'],
    ] as const) {
      expect(leaksIn(createHash(algorithm).update(secret).digest('hex'))).toHaveLength(1)
      expect(leaksIn(createHash(algorithm).update(secret).digest('base64'))).toHaveLength(1)
    }
    expect(leaksIn(sentence(1))).toEqual([])
  })
})

const rows = Array.from({ length: 40 }, (_, c) => ({
  client: `${CLIENT_CANARY}-${c}`,
  text: sentence(1000 + c * 10, `${CANARY}${c}`),
}))
const jsonl = rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const csv = `client,text\n${rows.map((row) => `${row.client},"${row.text}"\n`).join('')}`
const parquet = new Uint8Array(
  parquetWriteBuffer({
    columnData: (['client', 'text'] as const).map((name) => ({
      name,
      data: rows.map((row) => row[name]),
      type: 'STRING' as const,
    })),
  }),
)
const broken = (bytes: Uint8Array) => bytes.map((byte, i) => (i > 4 && i < 40 ? 0xff : byte))

describe('success', () => {
  it.each([
    ['jsonl', jsonl],
    ['csv', csv],
    ['parquet', parquet],
  ])('of a run on %s', async (ending, content) => {
    const { folder, config, out } = await workspace((c) => {
      c.data.private = { ...c.data.private, path: `clients.${ending}` }
    })
    await writeFile(join(folder, `clients.${ending}`), content)
    const env = { PRETEXT_CACHE: join(folder, 'cache') }
    const { code, stdout, stderr } = await runCli(['generate', config, '--out', out, '--debug'], {
      cwd: folder,
      env,
    })
    expect(stderr).not.toMatch(/error/)
    expect(code).toBe(0)
    expect(leaks([stdout, stderr], [folder])).toEqual([])
  })
})

describe('malformed rows', () => {
  it.each<[string, string, string | Uint8Array]>([
    ['JSON cut inside a text', 'jsonl', jsonl.slice(0, -20)],
    ['JSON without quotes', 'jsonl', `{text: ${CANARY}}\n`],
    ['JSON with a private key', 'jsonl', `{"${CANARY}": "${CLIENT_CANARY}"}\n`],
    ['a bad escape', 'jsonl', `{"text": "${CANARY}\\q"}\n`],
    ['a client of another kind', 'jsonl', `{"text": "${text}", "client": ["${CLIENT_CANARY}"]}\n`],
    [
      'bytes that are not UTF-8',
      'jsonl',
      Buffer.concat([Buffer.from(`{"text": "${CANARY}`), Buffer.of(0xc3, 0x28)]),
    ],
    ['a CSV quote never closed', 'csv', `client,text\n${CLIENT_CANARY},"${text}\n`],
    ['CSV columns too many', 'csv', `client,text\n${CLIENT_CANARY},${CANARY},${CANARY}\n`],
    ['a CSV without header', 'csv', `${CLIENT_CANARY},${CANARY}\n`],
    ['a damaged parquet file', 'parquet', broken(parquet)],
    ['a cut parquet file', 'parquet', parquet.subarray(0, 300)],
    ['a text in the place of parquet', 'parquet', text.repeat(9)],
  ])('%s', async (_, ending, content) => {
    const { folder, config, out } = await workspace((c) => {
      c.data.private = { ...c.data.private, path: `malformed.${ending}` }
    })
    await writeFile(join(folder, `malformed.${ending}`), content)
    const args = ['generate', config, '--out', out, '--debug', '--json']
    const { code, stdout, stderr } = await runCli(args, { cwd: folder })
    expect(code).toBe(4)
    expect(stderr).toMatch(/malformed\./)
    expect(leaks([stdout, stderr], [folder])).toEqual([])
  })
})

/** A run whose language model is a server that answers slowly and counts. */
async function served(change: (config: ConfigObject) => void = () => {}) {
  const started = await startServer()
  server = started
  started.delayMs = 40
  const made = await workspace((c) => {
    c.llm = {
      provider: 'openai',
      model: 'test',
      baseUrl: started.baseUrl,
      apiKeyEnv: 'TEST_KEY',
      concurrency: 2,
    }
    change(c)
  })
  return { ...made, server: started, env: { TEST_KEY: 'k', PRETEXT_CACHE: join(made.folder, 'cache') } }
}

describe('Ctrl-C', () => {
  // Calls of this config: 8 variations in each of 2 rounds, then the expansion; 0 is while reading and embedding.
  it.each([0, 1, 9, 17, 22])('after %i calls', async (calls) => {
    const { folder, config, out, server, env } = await served()
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    while (server.seen.length < calls || !existsSync(out)) await new Promise((r) => setTimeout(r, 5))
    running.kill('SIGINT')
    const { code, stdout, stderr } = await running.finished
    expect(code).toBe(130)
    expect(leaks([stdout, stderr], [folder])).toEqual([])
    // The language model never saw a private text either.
    expect(leaksIn(JSON.stringify(server.seen))).toEqual([])
  })

  it('twice ends at once', async () => {
    const { folder, config, out, server, env } = await served()
    server.delayMs = 3000
    const running = startCli(['generate', config, '--out', out], { cwd: folder, env })
    while (server.seen.length < 1) await new Promise((r) => setTimeout(r, 5))
    running.kill('SIGINT')
    await new Promise((r) => setTimeout(r, 200))
    running.kill('SIGINT')
    const { stdout, stderr } = await running.finished
    expect(leaks([stdout, stderr], [folder])).toEqual([])
  })
})

describe('Node reports', () => {
  it('of a process that crashes with the private texts in its memory hold none of them', async () => {
    const { folder, config, out, env } = await served()
    const reports = join(folder, 'reports')
    await mkdir(reports)
    // Writes a report on a signal, as an operator would, then dies of an error that nobody catches.
    const crash = `import { existsSync, readdirSync } from 'node:fs'
let asked = false
const timer = setInterval(() => {
  if (!existsSync(${JSON.stringify(join(out, 'rounds/0001/release.json'))})) return
  if (!asked) process.kill(process.pid, 'SIGUSR2')
  asked = true
  if (readdirSync(${JSON.stringify(reports)}).length > 0) throw new Error('forced')
}, 5)
`
    await writeFile(join(folder, 'crash.mjs'), crash)
    const options = [
      '--report-uncaught-exception',
      '--report-on-signal',
      `--report-directory=${reports}`,
      `--import=${join(folder, 'crash.mjs')}`,
    ]
    const { code, stdout, stderr } = await runCli(['generate', config, '--out', out], {
      cwd: folder,
      env: { ...env, NODE_OPTIONS: options.join(' ') },
    })
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/forced/)
    const written = filesBelow(reports)
    const triggers = await Promise.all(
      written.map(async (path) => JSON.parse(await readFile(path, 'utf8')).header.trigger),
    )
    expect(triggers.sort()).toEqual(['Exception', 'Signal'])
    expect(leaks([stdout, stderr], [folder])).toEqual([])
  })
})
