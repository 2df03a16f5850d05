// The Hub's file protocol: redirect, verification before and after, resume, refusals, and no Hub at all.
import { randomFillSync } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PretextEvent } from '../../src/events.ts'
import { openHub } from '../../src/models/hub.ts'
import { type Download, downloadFromHub } from '../../src/models/hub-download.ts'
import { type HubServer, type Request, sendAndBreak, sendContent, sha256Of, startHub } from './hub-server.ts'

const content = randomFillSync(Buffer.alloc(700_000))
const source = { type: 'hub', repo: 'owner/name', revision: 'v1', path: 'onnx/model.onnx' } as const

let folder: string
let server: HubServer
let events: PretextEvent[]
let waits: number[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-hub-'))
  server = await startHub()
  server.files.set('owner/name/onnx/model.onnx', { content, lfs: true })
  events = []
  waits = []
})

afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

function download(
  changes: Partial<Download> = {},
  env: Record<string, string> = {},
  times: { connectMs?: number; stallMs?: number } = {},
) {
  const sleep = async (ms: number) => void waits.push(ms)
  return downloadFromHub({
    hub: openHub({ HF_ENDPOINT: server.endpoint, ...env }, { sleep, ...times }),
    source,
    destination: join(folder, 'sub', 'model.onnx'),
    bytes: content.length,
    sha256: sha256Of(content),
    label: 'name: model.onnx',
    onEvent: (event) => events.push(event),
    ...changes,
  })
}

const gets = (): Request[] => server.requests.filter((request) => request.method === 'GET')
const storageGets = (): Request[] => gets().filter((request) => request.server === 'storage')
const arrived = () => readFile(join(folder, 'sub', 'model.onnx'))
const part = () => join(folder, 'sub', 'model.onnx.part')
const leftovers = () => existsSync(part())
const inPart = (bytes: number) => leftovers() && statSync(part()).size >= bytes

/** Answers the first `times` requests for the content by `answer`. */
function faultyContent(times: number, answer: (request: Request, response: ServerResponse) => void): void {
  let left = times
  server.fault = (request, response) => {
    if (request.server !== 'storage' || left-- <= 0) return false
    answer(request, response)
    return true
  }
}

describe('a file that is there', () => {
  it('comes through the redirect, whole, with progress that ends at its size', async () => {
    expect(await download()).toEqual({ ok: true })
    expect((await arrived()).equals(content)).toBe(true)
    expect(leftovers()).toBe(false)
    expect(events[0]).toEqual({
      type: 'stage',
      stage: 'download',
      label: 'name: model.onnx',
      total: 700_000,
      unit: 'bytes',
    })
    const progress = events.flatMap((event) => (event.type === 'progress' ? [event.done] : []))
    expect(progress[0]).toBe(0)
    expect(progress.at(-1)).toBe(700_000)
    expect(progress).toEqual([...progress].sort((a, b) => a - b))
    expect(events.at(-1)).toEqual({ type: 'stage-end', stage: 'download', label: 'name: model.onnx' })
  })

  it('shows the token to the Hub and not to the storage that it redirects to', async () => {
    await download({}, { HF_TOKEN: 'hf_secret' })
    const seen = new Set(server.requests.map((request) => `${request.server} ${request.authorization}`))
    expect(seen).toEqual(new Set(['hub Bearer hf_secret', 'storage undefined']))
  })

  it('comes directly where it is small', async () => {
    const small = Buffer.from('{"model_type":"bert"}')
    server.files.set('owner/name/config.json', { content: small, lfs: false })
    const outcome = await download({
      source: { ...source, path: 'config.json' },
      bytes: small.length,
      sha256: sha256Of(small),
    })
    expect(outcome).toEqual({ ok: true })
    expect((await arrived()).equals(small)).toBe(true)
  })

  it('is found under the new name of a repository that was renamed', async () => {
    server.fault = (request, response) => {
      if (!request.path.startsWith('/owner/old/')) return false
      response.writeHead(307, { location: request.path.replace('/old/', '/name/') }).end()
      return true
    }
    expect(await download({ source: { ...source, repo: 'owner/old' } })).toEqual({ ok: true })
  })
})

describe('a line that breaks', () => {
  it('is taken up where it broke: no byte is asked for twice', async () => {
    faultyContent(1, (request, response) => sendAndBreak(request, response, content, 300_000, inPart))
    expect(await download()).toEqual({ ok: true })
    expect((await arrived()).equals(content)).toBe(true)
    expect(storageGets().map((request) => request.range)).toEqual([undefined, 'bytes=300000-'])
  })

  it('is taken up by a later call, from the part that the first one left', async () => {
    faultyContent(99, (request, response) =>
      sendAndBreak(request, response, content, request.range ? 0 : 400_000, inPart),
    )
    expect(await download()).toMatchObject({
      ok: false,
      reason: expect.stringMatching(
        /^the connection broke \(.+\), 5 times at the same place; 0\.40 MB of 0\.70 MB are kept$/,
      ),
    })
    expect(leftovers()).toBe(true)
    server.fault = () => false
    server.requests.length = 0
    expect(await download()).toEqual({ ok: true })
    expect(storageGets().map((request) => request.range)).toEqual(['bytes=400000-'])
    expect((await arrived()).equals(content)).toBe(true)
  })

  it('starts again where the server ignores ranges', async () => {
    let calls = 0
    faultyContent(2, (request, response) => {
      if (calls++ === 0) sendAndBreak(request, response, content, 300_000, inPart)
      else sendContent({ ...request, range: undefined }, response, content)
    })
    expect(await download()).toEqual({ ok: true })
    expect((await arrived()).equals(content)).toBe(true)
  })

  it('is taken up when nothing comes any more', async () => {
    faultyContent(1, (_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000))
    })
    expect(await download({}, {}, { stallMs: 1000 })).toEqual({ ok: true })
    expect(storageGets()[1]?.range).toBe('bytes=100000-')
  })

  it('never changes the content, wherever it breaks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 4 }), async (breaks) => {
        await rm(join(folder, 'sub'), { recursive: true, force: true })
        const left = [...breaks]
        server.fault = (request, response) => {
          const count = request.server === 'storage' ? left.shift() : undefined
          if (count === undefined) return false
          sendAndBreak(request, response, content, count, inPart)
          return true
        }
        expect(await download()).toEqual({ ok: true })
        expect((await arrived()).equals(content)).toBe(true)
      }),
      { numRuns: 12 },
    )
  })

  it('stops when the caller does, and keeps the part', async () => {
    const controller = new AbortController()
    faultyContent(1, (_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 100_000))
      const look = setInterval(() => {
        if (!inPart(1)) return
        clearInterval(look)
        controller.abort()
      }, 5)
    })
    await expect(download({ signal: controller.signal })).rejects.toThrow(/abort/i)
    expect(leftovers()).toBe(true)
  })
})

describe('content that is not the expected one', () => {
  it('is refused before it is downloaded, where the Hub tells its sha256', async () => {
    const sha256 = '1'.repeat(64)
    server.files.set('owner/name/onnx/model.onnx', { content, lfs: true, claimedSha256: sha256 })
    expect(await download()).toEqual({ ok: false, reason: `holds other content (sha256 ${sha256})` })
    expect(gets()).toEqual([])
  })

  it('is refused before it is downloaded, where only its size is known and differs', async () => {
    server.files.set('owner/name/onnx/model.onnx', { content: content.subarray(1), lfs: false })
    expect(await download()).toEqual({
      ok: false,
      reason: 'holds other content (699999 bytes instead of 700000)',
    })
    expect(gets()).toEqual([])
  })

  it('is refused after the download otherwise, and nothing stays', async () => {
    const other = randomFillSync(Buffer.alloc(content.length))
    server.files.set('owner/name/onnx/model.onnx', { content: other, lfs: false })
    expect(await download()).toEqual({ ok: false, reason: `gave other content (sha256 ${sha256Of(other)})` })
    expect(leftovers()).toBe(false)
    expect(existsSync(join(folder, 'sub', 'model.onnx'))).toBe(false)
  })

  it('is cut off when it is longer than the file', async () => {
    faultyContent(1, (_, response) => {
      response.writeHead(200)
      response.end(Buffer.concat([content, content]))
    })
    expect(await download()).toEqual({ ok: false, reason: 'sent more than the 700000 bytes expected' })
  })

  it('is not built upon: a part from another version is thrown away once', async () => {
    await download()
    await rm(join(folder, 'sub', 'model.onnx'))
    await writeFile(join(folder, 'sub', 'model.onnx.part'), randomFillSync(Buffer.alloc(500_000)))
    expect(await download()).toEqual({ ok: true })
    expect((await arrived()).equals(content)).toBe(true)
  })

  it('is not built upon: a part longer than the file is thrown away', async () => {
    await download()
    await rm(join(folder, 'sub', 'model.onnx'))
    await writeFile(join(folder, 'sub', 'model.onnx.part'), Buffer.alloc(content.length + 1))
    expect(await download()).toEqual({ ok: true })
  })
})

describe('a refusal', () => {
  const refuse = (status: number, headers: Record<string, string> = {}, times = 99) => {
    let left = times
    server.fault = (_, response) => {
      if (left-- <= 0) return false
      response.writeHead(status, headers).end('no')
      return true
    }
  }

  it.each([
    [404, {}, 'answered 404: there is no such file'],
    [401, {}, 'answered 401: the repository is private, gated or absent; set HF_TOKEN if it is'],
    [
      403,
      { HF_TOKEN: 'hf_secret' },
      'answered 403: the repository is private, gated or absent; the token in HF_TOKEN does not open it',
    ],
  ])('%i is final', async (status, env, reason) => {
    refuse(status)
    expect(await download({}, env)).toEqual({ ok: false, reason })
    expect(server.requests).toHaveLength(1)
  })

  it('429 is waited for as long as it asks, then given up', async () => {
    refuse(429, { 'retry-after': '7' })
    expect(await download()).toEqual({ ok: false, reason: 'answered 429: too many requests; try later' })
    expect(waits).toEqual([7000, 7000, 7000])
  })

  it('429 that asks for an hour is not waited for', async () => {
    refuse(429, { 'retry-after': '3600' })
    expect(await download()).toMatchObject({ ok: false })
    expect(waits).toEqual([])
  })

  it('503 that passes does no harm', async () => {
    refuse(503, {}, 2)
    expect(await download()).toEqual({ ok: true })
    expect(waits).toEqual([1000, 2000])
  })
})

describe('no Hub', () => {
  it('is noticed by its refusal, and the next file does not ask again', async () => {
    const closed = await startHub()
    await closed.close()
    let asked = 0
    const counting: typeof fetch = (...args) => {
      asked++
      return fetch(...args)
    }
    const hub = openHub({ HF_ENDPOINT: closed.endpoint }, { fetch: counting })
    const reason = 'could not connect (ECONNREFUSED)'
    expect(await download({ hub })).toEqual({ ok: false, reason })
    expect(await download({ hub })).toEqual({ ok: false, reason })
    expect(asked).toBe(1)
  })

  it('is noticed by its silence, within the time for connecting', async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const HF_ENDPOINT = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
    const outcome = await download({}, { HF_ENDPOINT }, { connectMs: 200 })
    expect(outcome).toEqual({ ok: false, reason: 'could not connect (no answer within 0.2 s)' })
    silent.closeAllConnections()
    silent.close()
  })
})
