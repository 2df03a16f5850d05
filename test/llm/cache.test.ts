// The request cache: nothing that was paid is paid twice, whatever happens to the file or the process.
import { spawn } from 'node:child_process'
import { appendFile, mkdtemp, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cached } from '../../src/llm/cache.ts'
import { openCacheFile } from '../../src/llm/cache-file.ts'
import type { LanguageModel } from '../../src/llm/model.ts'
import { requestKey } from '../../src/llm/request.ts'
import { createScriptedModel } from '../../src/llm/scripted.ts'
import { request } from './requests.ts'
import { startServer, type TestServer } from './server.ts'

let path: string
let asked: number
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'pretext-cache-')), 'llm', 'cache.jsonl')
  asked = 0
})

function counting(name = 'counted', answer?: () => Promise<string>): LanguageModel {
  const model = createScriptedModel({ name, ...(answer === undefined ? {} : { answer }) })
  return {
    ...model,
    complete: (...args) => {
      asked++
      return model.complete(...args)
    },
  }
}

describe('the request cache', () => {
  it('asks once, also after it was closed and opened', async () => {
    const first = await cached(counting(), path)
    const paid = await first.complete(request())
    expect(paid.cached).toBe(false)
    expect(await first.complete(request())).toEqual({ ...paid, cached: true })
    await first.dispose()
    const second = await cached(counting(), path)
    expect(await second.complete(request())).toEqual({ ...paid, cached: true })
    expect(asked).toBe(1)
    await second.dispose()
  })

  it('asks again for whatever changes the answer, and only for that', async () => {
    const model = await cached(counting(), path)
    const sampling = { temperature: 1, topP: 0.95 }
    await model.complete(request({ sampling }))
    await model.complete(request({ sampling: { topP: 0.95, temperature: 1, minP: 0, topK: 0 } }))
    expect(asked).toBe(1)
    const others = [
      { seed: 2 },
      { maxTokens: 25 },
      { stop: ['\n'] },
      { sampling: { ...sampling, temperature: 0.9 } },
      { sampling: { ...sampling, topK: 40 } },
      { input: { prompt: 'another' } },
      { input: { messages: [{ role: 'user' as const, content: 'another' }] } },
      { input: { messages: [{ role: 'system' as const, content: 'another' }] } },
    ]
    for (const changes of others) expect((await model.complete(request(changes))).cached).toBe(false)
    await model.dispose()
  })

  it('keeps two models in one file apart', async () => {
    const one = await cached(
      counting('one', async () => 'of one'),
      path,
    )
    await one.complete(request())
    await one.dispose()
    const two = await cached(
      counting('two', async () => 'of two'),
      path,
    )
    expect(await two.complete(request())).toMatchObject({ text: 'of two', cached: false })
    await two.dispose()
    const again = await cached(counting('one'), path)
    expect((await again.complete(request())).text).toBe('of one')
    await again.dispose()
  })

  it('asks once for the same request at the same time', async () => {
    const model = await cached(counting(), path)
    const [a, b, c] = await Promise.all([1, 1, 2].map((seed) => model.complete(request({ seed }))))
    expect(asked).toBe(2)
    expect([a?.cached, b?.cached, c?.cached]).toEqual([false, true, false])
    expect(b?.text).toBe(a?.text)
    await model.dispose()
  })

  it('asks anew when the one who asked first was told to stop', async () => {
    const slow: LanguageModel = {
      ...counting(),
      complete: async (_request, { signal } = {}) => {
        asked++
        await new Promise((resolve) => setTimeout(resolve, 20))
        signal?.throwIfAborted()
        return { text: 'late', finish: 'stop', promptTokens: 1, completionTokens: 1, cached: false }
      },
    }
    const model = await cached(slow, path)
    const controller = new AbortController()
    const first = model.complete(request(), { signal: controller.signal })
    const second = model.complete(request())
    controller.abort(new Error('told to stop'))
    await expect(first).rejects.toThrow('told to stop')
    expect((await second).text).toBe('late')
    expect(asked).toBe(2)
    await model.dispose()
  })

  it('remembers no failure', async () => {
    let healthy = false
    const model = await cached(
      counting('moody', async () => {
        if (!healthy) throw new Error('not now')
        return 'now'
      }),
      path,
    )
    await expect(model.complete(request())).rejects.toThrow('not now')
    healthy = true
    expect(await model.complete(request())).toMatchObject({ text: 'now', cached: false })
    await model.dispose()
  })

  it('is read by nobody else', async () => {
    await (await cached(counting(), path)).dispose()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('goes on after a crash at any byte', async () => {
    const whole = await cached(counting(), path)
    for (let seed = 0; seed < 4; seed++) await whole.complete(request({ seed }))
    await whole.dispose()
    const bytes = await readFile(path)
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length), async (length) => {
        await writeFile(path, bytes.subarray(0, length))
        const lines = bytes.subarray(0, length).toString('latin1').split('\n').length - 1
        asked = 0
        const model = await cached(counting(), path)
        for (let seed = 0; seed < 4; seed++) await model.complete(request({ seed }))
        await model.dispose()
        expect(asked).toBe(4 - Math.max(0, lines - 1))
        expect(await readFile(path)).toEqual(bytes)
      }),
      { numRuns: 60 },
    )
  })

  it('skips a damaged line and asks for it again', async () => {
    const whole = await cached(counting(), path)
    for (let seed = 0; seed < 3; seed++) await whole.complete(request({ seed }))
    await whole.dispose()
    const lines = (await readFile(path, 'utf8')).split('\n')
    lines[2] = `${lines[2]?.slice(0, 90)}\u0000#`
    await writeFile(path, lines.join('\n'))
    asked = 0
    const model = await cached(counting(), path)
    for (let seed = 0; seed < 3; seed++) await model.complete(request({ seed }))
    expect(asked).toBe(1)
    await model.dispose()
  })

  it('asks again when the file was changed underneath', async () => {
    const model = await cached(counting(), path)
    await model.complete(request())
    await truncate(path, 60)
    expect((await model.complete(request())).cached).toBe(false)
    await model.dispose()
  })

  it('leaves a file alone that is no cache', async () => {
    await (await openCacheFile(path)).close()
    for (const content of ['my notes', 'my notes\n', '{"format":"pretext-llm-cache","version":2}\n']) {
      await writeFile(path, content)
      await expect(openCacheFile(path)).rejects.toMatchObject({ code: 'storage' })
      expect(await readFile(path, 'utf8')).toBe(content)
    }
  })

  it('keeps any text as it is', async () => {
    const file = await openCacheFile(path)
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.nat(), async (text, n) => {
        const completion = { text, finish: 'length' as const, promptTokens: n, completionTokens: n }
        const key = requestKey('any', request({ input: { prompt: text } }))
        await file.append(key, completion)
        expect(await file.read(key)).toEqual(completion)
      }),
      { numRuns: 100 },
    )
    await file.close()
  })

  it('writes many at once, and finds each again', async () => {
    const file = await openCacheFile(path)
    const completion = { finish: 'stop' as const, promptTokens: 1, completionTokens: 1 }
    const keys = Array.from({ length: 500 }, (_, i) => `key ${i}`)
    await Promise.all(keys.map((key) => file.append(key, { ...completion, text: `text of ${key}` })))
    expect(file.size).toBe(500)
    for (const key of keys) expect((await file.read(key))?.text).toBe(`text of ${key}`)
    await file.close()
    await appendFile(path, '{"key":"torn')
    const again = await openCacheFile(path)
    expect(again.size).toBe(500)
    await again.close()
  })
})

describe('a process', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(() => server.close())

  function start(...args: string[]) {
    const script = fileURLToPath(new URL('./cache-child.ts', import.meta.url))
    const child = spawn(process.execPath, ['--import', 'tsx', script, server.baseUrl, path, ...args])
    let output = ''
    child.stdout.on('data', (data) => {
      output += data
    })
    child.stderr.on('data', (data) => {
      output += data
    })
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    return { child, ended, output: () => output }
  }

  it('that is killed in the middle pays nothing twice when it resumes', async () => {
    server.delayMs = 20
    const killed = start()
    // 60 requests, 4 at once: killed when a third is answered.
    while (!killed.output().includes('done 20')) await new Promise((resolve) => setTimeout(resolve, 5))
    killed.child.kill('SIGKILL')
    await killed.ended
    const returned = killed.output().match(/^done \d+$/gm)?.length ?? 0
    const paid = server.seen.length
    expect(paid).toBeLessThan(60)
    const resumed = start()
    await resumed.ended
    expect(resumed.output()).toContain('all 60')
    const bodies = server.seen.map(({ body }) => body.seed as number)
    // What was in flight at the kill never came back, so it is asked again; nothing else is.
    const twice = bodies.length - new Set(bodies).size
    expect(twice).toBeLessThanOrEqual(4)
    expect(bodies.length - paid).toBeLessThanOrEqual(60 - returned)
    server.seen.length = 0
    const third = start()
    await third.ended
    expect(third.output()).toContain('all 60')
    expect(server.seen).toHaveLength(0)
  })

  it.runIf(process.platform === 'linux')('whose disk is full says so, and keeps what it has', async () => {
    const full = start('4096')
    await full.ended
    expect(full.output()).toMatch(/failed storage could not write .*cache\.jsonl: the file would be larger/)
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
    for (const line of lines) expect(() => JSON.parse(line)).not.toThrow()
    expect(lines.length).toBeGreaterThan(4)
    server.seen.length = 0
    const resumed = start()
    await resumed.ended
    expect(resumed.output()).toContain('all 60')
    expect(server.seen).toHaveLength(60 - (lines.length - 1))
  })
})
