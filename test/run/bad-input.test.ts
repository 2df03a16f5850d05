// Bad input gets a clear error and its exit code, loses nothing and leaks nothing: by the real command line.
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { answers, garbage, hangs, sends, startServer, type TestServer } from '../llm/server.ts'
import { CANARY, type ConfigObject, leaks, runCli, workspace } from './workspace.ts'

const servers: TestServer[] = []
afterAll(() => Promise.all(servers.map((server) => server.close())))

const released = (folder: string) => existsSync(join(folder, 'runs/ledgers/canaries.jsonl'))

async function fails(
  change: (config: ConfigObject) => void,
  prepare: (folder: string) => Promise<void> = async () => {},
  options: { args?: string[]; shell?: string } = {},
) {
  const made = await workspace(change)
  await prepare(made.folder)
  const result = await runCli(['generate', made.config, '--out', made.out, ...(options.args ?? [])], {
    cwd: made.folder,
    env: { TEST_KEY: 'sk-test-do-not-show' },
    ...(options.shell === undefined ? {} : { shell: options.shell }),
  })
  expect(leaks([result.stdout, result.stderr], [made.folder])).toEqual([])
  expect(result.stderr).not.toContain('sk-test-do-not-show')
  expect(result.stderr).not.toMatch(/\n\s+at /)
  return { ...made, ...result }
}

describe.concurrent('texts', () => {
  it('an empty file', async () => {
    const { code, stderr, folder } = await fails(
      () => {},
      (folder) => writeFile(join(folder, 'clients.jsonl'), ''),
    )
    expect(code).toBe(4)
    expect(stderr).toMatch(/clients\.jsonl: expected .*, got an empty file|clients\.jsonl.*empty/)
    expect(released(folder)).toBe(false)
  })

  it('a missing file', async () => {
    const { code, stderr } = await fails((c) => {
      c.data.private = { ...c.data.private, path: 'nowhere.jsonl' }
    })
    expect(code).toBe(4)
    expect(stderr).toMatch(/nowhere\.jsonl/)
  })

  it('a wrong column', async () => {
    const { code, stderr } = await fails((c) => {
      c.data.private = { ...c.data.private, text: 'body' }
    })
    expect(code).toBe(4)
    expect(stderr).toMatch(/clients\.jsonl:1: expected .*"body"/)
  })

  it('malformed rows: named by line, never by content', async () => {
    const { code, stderr } = await fails(
      (c) => {
        c.data.private = { ...c.data.private, path: 'malformed.jsonl' }
      },
      (folder) =>
        writeFile(
          join(folder, 'malformed.jsonl'),
          `{"client": "a", "text": "${CANARY} fine text of several words"}\n{"client": "b", "text": "${CANARY}\n${Buffer.from(CANARY).toString('base64')}\n{"${CANARY}": 1}\n`,
        ),
    )
    expect(code).toBe(4)
    expect(stderr).toMatch(/malformed\.jsonl:2/)
  })

  it('one client only', async () => {
    const { code, stderr, folder } = await fails(
      () => {},
      (folder) =>
        writeFile(
          join(folder, 'clients.jsonl'),
          `{"client":"a","text":"${CANARY} one text of one client"}\n`,
        ),
    )
    expect(code).toBe(9)
    expect(stderr).toMatch(/expected at least \d+ clients/)
    expect(stderr).not.toMatch(/got 1\b/)
    expect(released(folder)).toBe(false)
  })

  it('fewer clients than the minimum', async () => {
    const { code, stderr } = await fails((c) => {
      c.privacy = { ...c.privacy, minimumClients: 500 }
    })
    expect(code).toBe(9)
    expect(stderr).toMatch(
      /expected at least 500 clients \(privacy\.minimumClients\), got fewer; nothing was released/,
    )
  })

  it('consented texts of the same clients', async () => {
    const { code, stderr } = await fails((c) => {
      c.data.consented = { path: 'clients.jsonl', client: 'client' }
    })
    expect(code).toBe(4)
    expect(stderr).toMatch(/consented/)
  })
})

describe.concurrent('privacy', () => {
  it.each([
    [{ epsilon: 0 }, /privacy\.epsilon: expected a number greater than 0, got 0/],
    [{ epsilon: -3 }, /privacy\.epsilon: expected a number greater than 0, got -3/],
    [{ delta: 1 }, /privacy\.delta: expected a number strictly between 0 and 1, got 1/],
    [{ delta: 2 }, /privacy\.delta: expected a number strictly between 0 and 1, got 2/],
    [{ epsilon: Number.POSITIVE_INFINITY }, /only with data\.simulation: true/],
  ])('%j', async (change, message) => {
    const { code, stderr, folder } = await fails((c) => {
      c.privacy = { ...c.privacy, ...change }
    })
    expect(code).toBe(3)
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/config\.yaml:\d+:\d+: /)
    expect(released(folder)).toBe(false)
  })
})

describe('models', () => {
  it('a model file with the wrong sha256', async () => {
    const cache = join((await workspace()).folder, 'cache')
    const { folder, config, out } = await workspace((c) => {
      c.embeddings = { model: 'all-MiniLM-L6-v2' }
    })
    const where = join(cache, 'models', 'all-MiniLM-L6-v2', 'onnx')
    await mkdir(where, { recursive: true })
    await writeFile(join(where, 'model_int8.onnx'), 'not the model')
    const result = await runCli(['generate', config, '--out', out], {
      cwd: folder,
      env: { PRETEXT_CACHE: cache, PRETEXT_OFFLINE: '1' },
    })
    expect(leaks([result.stdout, result.stderr], [folder, cache])).toEqual([])
    expect(result.code).toBe(5)
    expect(result.stderr).toMatch(/sha256/)
    expect(result.stderr).toMatch(/model_int8\.onnx/)
    expect(released(folder)).toBe(false)
  })

  it('no network and no model: the file to place, and where', async () => {
    const { folder, config, out } = await workspace((c) => {
      c.llm = { provider: 'llama' }
    })
    const cache = join(folder, 'cache')
    const result = await runCli(['generate', config, '--out', out], {
      cwd: folder,
      env: { PRETEXT_CACHE: cache, PRETEXT_OFFLINE: '1' },
    })
    expect(leaks([result.stdout, result.stderr], [folder])).toEqual([])
    expect(result.code).toBe(5)
    // The file, and the one that it is made from: either will do.
    expect(result.stderr).toContain('0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387')
    expect(result.stderr).toContain('b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53')
    expect(result.stderr).toContain(cache)
  })
})

// Side by side, because most of it is waiting.
describe.concurrent('the language model', () => {
  async function withServer(behave: (server: TestServer) => void, more: Record<string, unknown> = {}) {
    const server = await startServer()
    servers.push(server)
    behave(server)
    const failed = await fails((c) => {
      c.llm = {
        provider: 'openai',
        model: 'test',
        baseUrl: server.baseUrl,
        apiKeyEnv: 'TEST_KEY',
        patienceMinutes: 0.05,
        ...more,
      }
    })
    return { ...failed, server }
  }

  it.each([
    ['answers 429', answers(429, 'slow down'), /429/, {}],
    ['answers 500', answers(500, 'oops'), /500/, {}],
    ['times out', hangs, /tim(ed|e) ?out|did not answer/i, { timeoutSeconds: 2 }],
    ['answers garbage', garbage, /sent an answer that is not JSON/, {}],
  ])('%s until patience ends: exit 8, sealed, --resume goes on', async (_, fault, message, limit) => {
    const { code, stderr, out, folder, config, server } = await withServer((s) => {
      s.always = fault
    }, limit)
    expect(code).toBe(8)
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/--resume|check llm\.baseUrl/)
    expect(JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8')).status).toBe('sealed')
    // The service is back: the run goes on, with the release that it had paid for.
    server.always = undefined
    const again = await runCli(['generate', config, '--out', out, '--resume'], {
      cwd: folder,
      env: { TEST_KEY: 'k' },
    })
    expect(again.code).toBe(0)
    const ledger = await readFile(join(folder, 'runs/ledgers/canaries.jsonl'), 'utf8')
    expect(ledger.match(/"type":"charge"/g)).toHaveLength(2)
  })

  it('refuses every request: exit 8 with the reason, after keeping all parents', async () => {
    const { code, stderr } = await withServer((s) => {
      s.always = sends({
        choices: [
          {
            index: 0,
            finish_reason: 'stop',
            message: { role: 'assistant', content: "I'm sorry, but I can't help with that." },
          },
        ],
        usage: { prompt_tokens: 9, completion_tokens: 9 },
      })
    })
    expect(code).toBe(8)
    expect(stderr).toMatch(/wrote no usable text in \d+ tries/)
    expect(stderr).toMatch(/\d+ refusal/)
  })

  it('has a wrong key: exit at once, without the key', async () => {
    const { code, stderr } = await withServer((s) => {
      s.always = answers(401, 'Incorrect API key provided: sk-test-do-not-show')
    })
    expect([5, 8]).toContain(code)
    expect(stderr).toMatch(/401|key/)
  })
})

describe('disk', () => {
  it('full: exit 11, the file is named, and --resume goes on once there is room', async () => {
    // A limit of 8 kB on any file: the request cache is the first to hit it.
    const { code, stderr, folder, config, out } = await fails(() => {}, undefined, {
      shell: "trap '' XFSZ; ulimit -f 8",
    })
    expect(code).toBe(11)
    expect(stderr).toMatch(
      /could not write .*: (the file would be larger than the system allows|the disk is full)/,
    )
    const again = await runCli(['generate', config, '--out', out, '--resume'], { cwd: folder })
    expect(again.stderr).not.toMatch(/error/)
    expect(again.code).toBe(0)
  })
})

describe.concurrent('run folder', () => {
  it('that is not a run and not empty is left alone', async () => {
    const { code, stderr, out } = await fails(
      () => {},
      async (folder) => {
        await mkdir(join(folder, 'out'))
        await writeFile(join(folder, 'out/thesis.txt'), 'mine')
      },
    )
    expect(code).toBe(3)
    expect(stderr).toMatch(/out: expected an empty folder or a run, got something else/)
    expect(await readFile(join(out, 'thesis.txt'), 'utf8')).toBe('mine')
  })
})

describe.concurrent('command line', () => {
  it.each([
    [['generat', 'x.yaml'], 2, /Did you mean generate\?/],
    [['generate'], 2, /Not enough non-option arguments/],
    [['generate', 'none.yaml'], 3, /none\.yaml: expected a config file/],
    [['generate', 'x.yaml', '--rounds', '3'], 2, /Unknown argument/],
    [['account', '--delta', '1e-5', '--rounds', '3'], 2, /expected either --noise or --epsilon/],
    [
      ['account', '--noise', '0', '--delta', '1e-5', '--rounds', '3'],
      2,
      /--noise must be a number greater than 0, got 0/,
    ],
    [
      ['account', '--noise', '2', '--delta', '1', '--rounds', '3'],
      2,
      /--delta must lie strictly between 0 and 1, got 1/,
    ],
    [['report', 'nowhere'], 2, /nowhere: expected a finished run, found none/],
    [['ledger', 'show', 'nowhere'], 2, /expected a ledger, found no file/],
    [['runs', 'show', 'x'], 2, /expected the name of a run/],
  ])('%j exits with %i', async (args, exit, message) => {
    const { folder } = await workspace()
    const { code, stderr } = await runCli(args, { cwd: folder })
    expect(stderr).toMatch(message)
    expect(code).toBe(exit)
  })

  it('--json gives errors as one object, too', async () => {
    const { folder } = await workspace()
    const { code, stdout } = await runCli(['report', 'nowhere', '--json'], { cwd: folder })
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, code: 'usage', exitCode: 2 })
    expect(code).toBe(2)
  })
})
