// Requests in batches: one batch for many, each answered as it was asked, and none paid twice after a stop or a crash.
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { completeAll } from '../../src/llm/complete-all.ts'
import { createLanguageModel } from '../../src/llm/create.ts'
import type { LanguageModel } from '../../src/llm/model.ts'
import { createOpenAiBatchModel, type OpenAiBatchOptions } from '../../src/llm/openai-batch.ts'
import { requestKey } from '../../src/llm/request.ts'
import { type BatchServer, startBatchServer } from './batch-server.ts'
import { request } from './requests.ts'
import { KEY } from './server.ts'

let server: BatchServer
let folder: string
let stateFile: string
const open: LanguageModel[] = []
beforeEach(async () => {
  server = await startBatchServer()
  folder = await mkdtemp(join(tmpdir(), 'batches-'))
  stateFile = join(folder, 'batches.jsonl')
})
afterEach(async () => {
  for (const model of open.splice(0)) await model.dispose()
  await server.close()
  await rm(folder, { recursive: true })
})

async function batching(options: Partial<OpenAiBatchOptions> = {}): Promise<LanguageModel> {
  const model = await createOpenAiBatchModel({
    model: 'm',
    baseUrl: server.baseUrl,
    env: { OPENAI_API_KEY: KEY },
    stateFile,
    gatherMs: 20,
    lookMs: 10,
    ...options,
  })
  open.push(model)
  return model
}

const asked = Array.from({ length: 12 }, (_, seed) => request({ seed }))
const texts = async (model: LanguageModel) => {
  const out: string[] = []
  for await (const { text } of completeAll(model, asked)) out.push(text)
  return out
}

describe('the OpenAI API in batches', () => {
  it('sends what comes together as one batch, and gives each request its own answer', async () => {
    const model = await batching()
    const answers = await texts(model)
    expect(server.uploads.map((file) => file.length)).toEqual([12])
    expect(server.uploads[0]?.[3]).toMatchObject({
      url: '/v1/chat/completions',
      body: { model: 'm', seed: 3 },
    })
    // The server answers in the reverse order; the scripted model answers by the request alone.
    const alone = await Promise.all(asked.map((one) => model.complete({ ...one, seed: one.seed })))
    expect(alone.map(({ text }) => text)).toEqual(answers)
    expect(new Set(answers).size).toBeGreaterThan(6)
    expect(alone[0]?.completionTokens).toBeGreaterThan(0)
  })

  it('says in each of its calls who asks', async () => {
    const asking = new Set<string>()
    const fetch: typeof globalThis.fetch = (url, init) => {
      const headers = new Headers(init?.headers)
      asking.add(`${headers.get('authorization')} ${headers.get('openai-organization')}`)
      return globalThis.fetch(url, init)
    }
    expect(await texts(await batching({ organisation: 'org-1', fetch }))).toHaveLength(12)
    expect([...asking]).toEqual([`Bearer ${KEY} org-1`])
  })

  it('sends nothing that was given up before its batch', async () => {
    const model = await batching({ gatherMs: 300 })
    const stop = new AbortController()
    const givenUp = Promise.allSettled(asked.map((one) => model.complete(one, { signal: stop.signal })))
    await new Promise((resolve) => setTimeout(resolve, 20))
    stop.abort(new Error('enough'))
    expect((await givenUp).every(({ status }) => status === 'rejected')).toBe(true)
    const kept = await model.complete(request({ seed: 99 }))
    expect(kept.text).not.toBe('')
    expect(server.uploads.map((file) => file.length)).toEqual([1])
  })

  it('waits after a stop for the batch that was paid, and pays no other', async () => {
    server.prompt = false
    const first = await batching()
    const stop = new AbortController()
    const waiting = Promise.allSettled(asked.map((one) => first.complete(one, { signal: stop.signal })))
    while (server.batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    stop.abort(new Error('stopped'))
    expect((await waiting).every(({ status }) => status === 'rejected')).toBe(true)
    await first.dispose()
    server.prompt = true
    const answers = await texts(await batching())
    expect(answers).toHaveLength(12)
    expect(server.uploads).toHaveLength(1)
    expect(server.batches).toHaveLength(1)
    const state = await readFile(stateFile, 'utf8')
    expect(state).toContain('batch-0')
    // Hashes and ids: nothing of a prompt.
    expect(state).not.toContain('Original')
  })

  it('finds a batch whose id never arrived, before a crash and within a run', async () => {
    server.loseNextBegin = true
    expect(await texts(await batching())).toHaveLength(12)
    expect(server.batches).toHaveLength(1)
    // Killed after the file was put there, and again while a line was written.
    const lines = (await readFile(stateFile, 'utf8')).split('\n')
    await writeFile(stateFile, `${lines[0]}\n{"file":"fi`)
    expect(await texts(await batching())).toHaveLength(12)
    expect([server.uploads.length, server.batches.length]).toEqual([1, 1])
  })

  it('asks again for what a batch left unanswered, and says why it does not', async () => {
    const model = await batching()
    const key = requestKey(model.id, asked[0] as (typeof asked)[number])
    server.failing.set(key, 500)
    await expect(model.complete(asked[0] as (typeof asked)[number])).rejects.toMatchObject({
      retry: 'briefly',
    })
    server.failing.delete(key)
    expect((await model.complete(asked[0] as (typeof asked)[number])).text).not.toBe('')
    server.failing.set(key, 400)
    await expect(model.complete(asked[0] as (typeof asked)[number])).rejects.toMatchObject({
      retry: 'never',
      message: 'left a request of a batch unanswered: no',
    })
  })

  it('refuses a state file that is something else', async () => {
    await appendFile(stateFile, 'hello\n')
    await expect(batching()).rejects.toMatchObject({
      code: 'storage',
      message: `${stateFile}:1: expected a line about a batch, got something else`,
    })
  })

  it('is what llm.batch asks for, with a state file beside the cache', async () => {
    const cacheFile = join(folder, 'llm-cache.jsonl')
    const { model, usage } = await createLanguageModel(
      { provider: 'openai', model: 'gpt-4o-mini', baseUrl: server.baseUrl, batch: true },
      {
        cacheFile,
        env: { OPENAI_API_KEY: KEY },
        time: { sleep: () => new Promise((go) => setTimeout(go, 10)) },
      },
    )
    open.push(model)
    expect(await texts(model)).toHaveLength(12)
    expect(usage().calls).toBe(12)
    expect(await readFile(`${cacheFile}.batches`, 'utf8')).toContain('batch-0')
    await texts(model)
    expect([usage().cachedCalls, server.batches.length]).toEqual([12, 1])
  })
})
