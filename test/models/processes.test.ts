// Faults that need processes of their own: two that fetch at once, one that is killed, one whose disk is full.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ModelManifest } from '../../src/models/model.ts'
import { type HubServer, rangeOf, sendContent, sha256Of, startHub } from './hub-server.ts'

const child = fileURLToPath(new URL('fetch-child.ts', import.meta.url))
const content = Buffer.alloc(3_000_000, 'weights ')
const manifest: ModelManifest = {
  id: 'big',
  kind: 'llm',
  licence: 'MIT',
  description: 'made by a test',
  files: [
    {
      path: 'model.gguf',
      bytes: content.length,
      sha256: sha256Of(content),
      sources: [{ type: 'hub', repo: 'owner/name', revision: 'main', path: 'model.gguf' }],
    },
  ],
}

let folder: string
let server: HubServer
let started: ChildProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-processes-'))
  server = await startHub()
  server.files.set('owner/name/model.gguf', { content, lfs: true })
  started = []
})

afterEach(async () => {
  for (const each of started) each.kill('SIGKILL')
  await server.close()
  await rm(folder, { recursive: true })
})

const target = (name: string) => join(folder, 'models', 'big', name)

/** `limit`: the largest file that the process may write, in blocks of 512 or 1024 bytes. */
function start(limit?: number): {
  process: ChildProcess
  output: Promise<Record<string, unknown>>
  noted: () => string
} {
  const command = `${limit === undefined ? '' : `ulimit -f ${limit}; `}exec "$0" --import tsx "$@"`
  const process_ = spawn('sh', ['-c', command, process.execPath, child, JSON.stringify(manifest)], {
    env: { PATH: process.env.PATH, PRETEXT_CACHE: folder, HF_ENDPOINT: server.endpoint },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.push(process_)
  let stdout = ''
  let stderr = ''
  process_.stdout.on('data', (data) => {
    stdout += data
  })
  process_.stderr.on('data', (data) => {
    stderr += data
  })
  const output = new Promise<Record<string, unknown>>((resolve, reject) => {
    process_.on('close', (code, signal) =>
      stdout === ''
        ? reject(new Error(`no output (${code}, ${signal}): ${stderr}`))
        : resolve(JSON.parse(stdout)),
    )
  })
  // A killed process has no output; only who waits for it minds.
  output.catch(() => {})
  return { process: process_, output, noted: () => stderr }
}

/** Sends half, then waits for `go` before the rest. */
function sendSlowly(go: Promise<void>): void {
  server.fault = (request, response) => {
    if (request.server !== 'storage' || rangeOf(request) > 0) return false
    response.writeHead(200, { 'content-length': content.length })
    response.write(content.subarray(0, content.length / 2))
    void go.then(() => response.end(content.subarray(content.length / 2)))
    return true
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(20)
}

const partBytes = async () => (await stat(target('model.gguf.part')).catch(() => undefined))?.size ?? 0

describe('two processes', () => {
  it('that ask at once fetch once, and the second waits and says so', async () => {
    let go = () => {}
    sendSlowly(
      new Promise((resolve) => {
        go = resolve
      }),
    )
    const first = start()
    await until(async () => (await partBytes()) > 0)
    const second = start()
    await until(() => second.noted().includes('waiting for it'))
    go()
    const sha256 = sha256Of(content)
    expect(await first.output).toEqual({ source: 'hub', sha256, notes: [] })
    expect(await second.output).toEqual({
      source: 'cache',
      sha256,
      notes: ['another process is fetching big; waiting for it'],
    })
    const gets = server.requests.filter((request) => request.server === 'storage')
    expect(gets).toHaveLength(1)
  })

  it('of which one is killed: the other takes over and fetches only the rest', async () => {
    sendSlowly(new Promise(() => {}))
    const first = start()
    await until(async () => (await partBytes()) === content.length / 2)
    first.process.kill('SIGKILL')
    const second = start()
    expect(await second.output).toMatchObject({ source: 'hub', sha256: sha256Of(content) })
    const ranges = server.requests.filter((request) => request.server === 'storage').map((each) => each.range)
    expect(ranges).toEqual([undefined, `bytes=${content.length / 2}-`])
  })
})

describe('a disk that is full', () => {
  it('is a clean error, keeps what came, and goes on when there is room', async () => {
    server.fault = (request, response, file) => {
      if (request.server !== 'storage' || file === undefined) return false
      sendContent(request, response, file.content)
      return true
    }
    expect(await start(1000).output).toEqual({
      code: 'storage',
      message: `could not write ${target('model.gguf.part')}: the file would be larger than the system allows`,
      hint: 'make room, or set PRETEXT_CACHE to a folder with room; what was already downloaded is kept and fetching goes on from there',
    })
    expect(existsSync(target('model.gguf'))).toBe(false)
    const kept = await partBytes()
    expect(kept).toBeGreaterThan(0)
    expect(existsSync(join(folder, 'models', 'big.lock'))).toBe(false)
    expect(await start().output).toMatchObject({ source: 'hub', sha256: sha256Of(content) })
    expect(server.requests.at(-1)?.range).toBe(`bytes=${kept}-`)
  })
})
