// Models that a user names: references, what is taken from a repository, and that first use fixes it.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import type { PretextEvent } from '../../src/events.ts'
import { listModels, removeModel } from '../../src/models/list.ts'
import { modelFolderName, pathInside } from '../../src/models/paths.ts'
import { resolveUserModel, type UserModelOptions } from '../../src/models/user-models.ts'
import { parseReference } from '../../src/models/user-reference.ts'
import { type HubServer, sha256Of, startHub } from './hub-server.ts'

const text = (content: string) => ({ content: Buffer.from(content), lfs: false })
const large = (content: string) => ({ content: Buffer.from(content), lfs: true })

let folder: string
let server: HubServer
let events: PretextEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-user-'))
  server = await startHub()
  events = []
  for (const [name, file] of Object.entries({
    'config.json': text('{}'),
    'tokenizer.json': text('{"a":1}'),
    'tokenizer_config.json': text('{"b":2}'),
    'README.md': text('# hello'),
    'onnx/model.onnx': large('fp32 graph'),
    'onnx/model.onnx_data': large('fp32 external data'),
    'onnx/model_int8.onnx': large('int8 graph'),
    'tiny.Q4.gguf': large('a gguf'),
    'big-00001-of-00002.gguf': large('part 1'),
    'big-00002-of-00002.gguf': large('part 2'),
  })) {
    server.files.set(`owner/name/${name}`, file)
  }
})

afterEach(async () => {
  await server.close()
  await rm(folder, { recursive: true })
})

function resolve(reference: string, changes: UserModelOptions = {}, env: Record<string, string> = {}) {
  const base = { PRETEXT_CACHE: join(folder, 'cache'), HF_ENDPOINT: server.endpoint }
  const onEvent = (event: PretextEvent) => events.push(event)
  return resolveUserModel(reference, { env: { ...base, ...env }, onEvent, ...changes })
}

async function failure(work: Promise<unknown>): Promise<PretextError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof PretextError)) throw new Error('expected a PretextError', { cause: error })
  return error
}

describe('a GGUF file of a repository', () => {
  it('is fetched, pinned to the commit and the sum of the first use, and then needs no network', async () => {
    const first = await resolve('hub:owner/name:tiny.Q4.gguf')
    expect(first).toMatchObject({
      id: 'hub:owner/name@main:tiny.Q4.gguf',
      kind: 'llm',
      source: 'hub',
      files: [{ path: 'tiny.Q4.gguf', sha256: sha256Of(Buffer.from('a gguf')) }],
    })
    const fetched = server.requests.filter((request) => request.path.includes('/resolve/'))
    expect(fetched.every((request) => request.path.includes(`/resolve/${server.commit}/`))).toBe(true)

    server.commit = '1'.repeat(40)
    server.files.set('owner/name/tiny.Q4.gguf', large('changed'))
    server.requests.length = 0
    const second = await resolve('hub:owner/name:tiny.Q4.gguf', {}, { PRETEXT_OFFLINE: '1' })
    expect(second).toMatchObject({ source: 'cache', files: first.files.map(({ sha256 }) => ({ sha256 })) })
    expect(server.requests).toEqual([])
  })

  it('that changed on the Hub is refused once it was recorded', async () => {
    const first = await resolve('hub:owner/name:tiny.Q4.gguf')
    await rm(first.files[0]?.absolutePath ?? '')
    server.files.set('owner/name/tiny.Q4.gguf', large('a g@uf'))
    const error = await failure(resolve('hub:owner/name:tiny.Q4.gguf'))
    expect(error.code).toBe('dependency')
    expect(error.message).toContain(`holds other content (sha256 ${sha256Of(Buffer.from('a g@uf'))})`)
  })

  it('comes with all parts of a split one, the first first', async () => {
    const model = await resolve('hub:owner/name:big-00001-of-00002.gguf')
    expect(model.files.map((file) => file.path)).toEqual([
      'big-00001-of-00002.gguf',
      'big-00002-of-00002.gguf',
    ])
  })

  it('that is not there is an error that lists those that are', async () => {
    const error = await failure(resolve('hub:owner/name:other.gguf'))
    expect(error.code).toBe('config')
    expect(error.message).toBe('owner/name at main has no other.gguf')
    expect(error.hint).toBe('it holds: tiny.Q4.gguf, big-00001-of-00002.gguf, big-00002-of-00002.gguf')
  })
})

describe('an embedder of a repository', () => {
  it('is its tokenizer, config and most exact graph, with external data', async () => {
    const model = await resolve('owner/name')
    expect(model.kind).toBe('embedder')
    expect(model.files.map((file) => file.path)).toEqual([
      'onnx/model.onnx',
      'onnx/model.onnx_data',
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    expect(model.files[2]?.sha256).toBe(sha256Of(Buffer.from('{}')))
  })

  it('has the dtype that was asked for, beside the other', async () => {
    const exact = await resolve('owner/name')
    const small = await resolve('owner/name', { dtype: 'int8', kind: 'masked-lm' })
    expect(small.files[0]?.path).toBe('onnx/model_int8.onnx')
    expect(small.kind).toBe('masked-lm')
    expect(small.folder).not.toBe(exact.folder)
  })

  it('without the dtype is an error that says what there is', async () => {
    const error = await failure(resolve('owner/name', { dtype: 'q4' }))
    expect(error.message).toBe(
      'owner/name at main lacks onnx/model_q4.onnx, which an embedder needs; it has the dtypes fp32, int8',
    )
  })

  it('keeps the small files of the first use: another content later is refused', async () => {
    const model = await resolve('owner/name')
    const config = model.files.find((file) => file.path === 'config.json')
    await writeFile(config?.absolutePath ?? '', '[]')
    server.files.set('owner/name/config.json', text('[]'))
    const error = await failure(resolve('owner/name'))
    expect(error.message).toContain('gave other content')
  })

  it('is looked up again with a warning when its record is damaged', async () => {
    const model = await resolve('owner/name')
    await writeFile(join(model.folder, 'pretext-model.json'), '{"format":')
    await resolve('owner/name')
    expect(events).toContainEqual({ type: 'warning', message: expect.stringContaining('is damaged') })
  })

  it('is listed and removed by its id', async () => {
    const { id } = await resolve('owner/name')
    const env = { PRETEXT_CACHE: join(folder, 'cache') }
    const listed = (await listModels({ env })).at(-1)
    expect(listed).toMatchObject({ id, builtIn: false, status: 'present', licence: 'mit', totalBytes: 44 })
    await removeModel(id, { env })
    expect((await listModels({ env })).map((model) => model.id)).not.toContain(id)
  })
})

describe('a Hub that refuses', () => {
  it('a repository that is not there', async () => {
    const error = await failure(resolve('owner/absent'))
    expect(error.code).toBe('config')
    expect(error.message).toBe(`the hub ${server.endpoint} does not list owner/absent at main: answered 404`)
    expect(error.hint).toBe('check the name and the revision; for a private or gated repository set HF_TOKEN')
  })

  it('is asked with any token, which no error repeats', async () => {
    const error = await failure(resolve('owner/absent', {}, { HF_TOKEN: 'mirror-secret' }))
    expect(server.requests[0]?.authorization).toBe('Bearer mirror-secret')
    expect(JSON.stringify([error.message, error.hint, String(error.cause)])).not.toContain('mirror-secret')
  })

  it('is not asked offline', async () => {
    const error = await failure(resolve('owner/name', {}, { PRETEXT_OFFLINE: '1' }))
    expect(error.code).toBe('dependency')
    expect(error.message).toMatch(
      /^model hub:owner\/name@main is not in .*, and PRETEXT_OFFLINE forbids to fetch it$/,
    )
    expect(server.requests).toEqual([])
  })

  it('or cannot be reached is a dependency error', async () => {
    await server.close()
    const error = await failure(resolve('owner/name'))
    expect(error.code).toBe('dependency')
    expect(error.message).toContain('could not connect (ECONNREFUSED)')
    server = await startHub()
  })
})

describe('a model on disk', () => {
  it('may be a GGUF file, and is hashed', async () => {
    const path = join(folder, 'mine.gguf')
    await writeFile(path, 'gguf')
    expect(await resolve(path)).toMatchObject({
      kind: 'llm',
      source: 'path',
      folder,
      files: [{ path: 'mine.gguf', absolutePath: path, sha256: sha256Of(Buffer.from('gguf')) }],
    })
  })

  it('may be a folder with an ONNX model', async () => {
    const mine = join(folder, 'mine')
    await mkdir(join(mine, 'onnx'), { recursive: true })
    for (const name of [
      'config.json',
      'tokenizer.json',
      'tokenizer_config.json',
      'onnx/model_quantized.onnx',
    ]) {
      await writeFile(join(mine, name), name)
    }
    const model = await resolve(mine)
    expect(model).toMatchObject({
      kind: 'embedder',
      folder: mine,
      files: [{ path: 'onnx/model_quantized.onnx' }, {}, {}, {}],
    })
    expect(await readFile(model.files[0]?.absolutePath ?? '', 'utf8')).toBe('onnx/model_quantized.onnx')
  })

  it('that is not there is an error', async () => {
    const error = await failure(resolve(join(folder, 'none.gguf')))
    expect(error.message).toBe(`the model ${join(folder, 'none.gguf')} does not exist`)
  })

  it('that is a folder of GGUF files needs one of them named', async () => {
    await writeFile(join(folder, 'a.gguf'), 'x')
    const error = await failure(resolve(folder, { kind: 'llm' }))
    expect(error.hint).toBe('name one of: a.gguf')
  })
})

describe('references', () => {
  const nothing = () => false

  it.each([
    ['hub:o/n@v1:f.gguf', { type: 'hub', repo: 'o/n', revision: 'v1', file: 'f.gguf' }],
    ['hub:o/n:sub/f.gguf', { type: 'hub', repo: 'o/n', revision: 'main', file: 'sub/f.gguf' }],
    ['o/n', { type: 'hub', repo: 'o/n', revision: 'main', file: undefined }],
    ['hub:o/n@refs/pr/1', { type: 'hub', repo: 'o/n', revision: 'refs/pr/1', file: undefined }],
    ['./o/n', { type: 'path', path: './o/n' }],
    ['/o/n.gguf', { type: 'path', path: '/o/n.gguf' }],
  ])('%s', (reference, parsed) => {
    expect(parseReference(reference, nothing)).toEqual(parsed)
  })

  it('mean what is on disk, if something is', () => {
    expect(parseReference('models/mine', () => true)).toEqual({ type: 'path', path: 'models/mine' })
    expect(parseReference('hub:models/mine', () => true)).toMatchObject({ type: 'hub' })
  })

  it.each(['gpt-9', '', 'a/b/c', 'hub:o/n:f.bin', 'o/n:', 'o/n name'])('%j names no model', (reference) => {
    expect(() => parseReference(reference, nothing)).toThrow(
      `${JSON.stringify(reference)} names no model: expected a path that exists, hub:owner/name[@revision]:file.gguf, or owner/name[@revision]`,
    )
  })

  it('never lead outside the cache', () => {
    for (const path of ['../x', 'a/../../x', '/etc/x', 'a//b', '.', '', 'C:\\x', 'a\0b']) {
      expect(() => pathInside('/cache', path)).toThrow(/is not a path inside a model's folder/)
    }
    expect(pathInside('/cache', 'onnx/model.onnx')).toBe('/cache/onnx/model.onnx')
  })

  it('have folders of their own with plain names', () => {
    const id = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 150 })
    fc.assert(
      fc.property(id, id, (a, b) => {
        expect(modelFolderName(a)).toMatch(/^[\w-][\w.-]*$/)
        expect(modelFolderName(a) === modelFolderName(b)).toBe(a === b)
      }),
    )
  })
})
