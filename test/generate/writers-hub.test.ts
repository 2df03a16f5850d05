// Promises of the upload, against a local server that speaks the Hub's endpoints: create, preupload, LFS batch, commit.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import type { PretextEvent } from '../../src/events.ts'
import { exportCorpus } from '../../src/run/export-corpus.ts'
import { exampleReport } from '../report/example.ts'

interface Repo {
  private: boolean
  readonly files: Map<string, Buffer>
  commits: number
}

const TOKEN = 'hf_test'
let server: Server
let endpoint: string
let repos: Map<string, Repo>
let objects: Map<string, Buffer>
/** Answers of the coming requests whose path holds the text, before the real ones. */
let faults: { readonly path: string; readonly status: number }[]
let requests: string[]

async function body(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function answer(request: IncomingMessage): Promise<{ status: number; json?: unknown }> {
  const url = request.url ?? ''
  requests.push(`${request.method} ${url}`)
  const content = await body(request)
  const fault = faults.findIndex(({ path }) => url.includes(path))
  if (fault >= 0) return { status: faults.splice(fault, 1)[0]?.status ?? 500, json: { error: 'as told' } }
  if (url.startsWith('/object/')) {
    const oid = url.slice('/object/'.length)
    if (createHash('sha256').update(content).digest('hex') !== oid) return { status: 400 }
    objects.set(oid, content)
    return { status: 200 }
  }
  if (request.headers.authorization !== `Bearer ${TOKEN}`) return { status: 401, json: { error: 'no' } }
  if (url === '/api/repos/create') {
    const { organization, name, type, visibility } = JSON.parse(content.toString())
    const id = `${organization}/${name}`
    if (type !== 'dataset') return { status: 400 }
    if (repos.has(id)) return { status: 409, json: { error: 'You already created this dataset repo' } }
    repos.set(id, { private: visibility === 'private', files: new Map(), commits: 0 })
    return { status: 200, json: { url: `${endpoint}/datasets/${id}`, id } }
  }
  const [, name = ''] = /^(?:\/api)?\/datasets\/([^/]+\/[^/.]+)/.exec(url) ?? []
  const repo = repos.get(name)
  if (repo === undefined) return { status: 404, json: { error: 'Repository not found' } }
  if (url.includes('/revision/')) return { status: 200, json: { id: name, private: repo.private } }
  if (url.endsWith('/preupload/main')) {
    const { files } = JSON.parse(content.toString())
    return {
      status: 200,
      json: {
        files: files.map(({ path }: { path: string }) => ({
          path,
          uploadMode: path.endsWith('.parquet') ? 'lfs' : 'regular',
        })),
      },
    }
  }
  if (url.endsWith('.git/info/lfs/objects/batch')) {
    const asked: { objects: { oid: string; size: number }[] } = JSON.parse(content.toString())
    return {
      status: 200,
      json: {
        transfer: 'basic',
        objects: asked.objects.map((object) => ({
          ...object,
          ...(objects.has(object.oid)
            ? {}
            : { actions: { upload: { href: `${endpoint}/object/${object.oid}` } } }),
        })),
      },
    }
  }
  if (url.endsWith('/commit/main')) {
    for (const line of content.toString().split('\n')) {
      const { key, value } = JSON.parse(line)
      if (key === 'file') repo.files.set(value.path, Buffer.from(value.content, value.encoding))
      if (key === 'lfsFile') {
        const object = objects.get(value.oid)
        if (object?.length !== value.size) return { status: 400, json: { error: 'object is not there' } }
        repo.files.set(value.path, object as Buffer)
      }
    }
    repo.commits++
    return { status: 200, json: { commitOid: 'abc', commitUrl: `${endpoint}/commit/abc` } }
  }
  return { status: 404 }
}

beforeEach(async () => {
  repos = new Map()
  objects = new Map()
  faults = []
  requests = []
  server = createServer((request, response) => {
    answer(request).then(({ status, json }) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(json ?? {}))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const rows = Array.from({ length: 30 }, (_, i) => ({ text: `text ${i}`, label: 'a' }))

interface Upload {
  readonly private?: boolean
  readonly env?: Record<string, string>
  readonly onEvent?: (event: PretextEvent) => void
}

function upload(name: string, options: Upload = {}): Promise<string> {
  return exportCorpus(rows, 'hub', name, {
    report: exampleReport(),
    env: { HF_TOKEN: TOKEN, HF_ENDPOINT: `${endpoint}/` },
    retryMs: 1,
    ...options,
  })
}

async function failure(work: Promise<unknown>): Promise<PretextError> {
  const error = await work.then(
    () => new Error('expected an error'),
    (e: unknown) => e,
  )
  if (error instanceof PretextError) return error
  throw error
}

describe('upload to the Hub', () => {
  it('makes a private dataset with card and data in one commit, and tells its progress', async () => {
    const events: PretextEvent[] = []
    expect(await upload('ann/reports', { onEvent: (event) => events.push(event) })).toBe(
      `${endpoint}/datasets/ann/reports`,
    )
    const repo = repos.get('ann/reports')
    expect(repo?.private).toBe(true)
    expect(repo?.commits).toBe(1)
    expect([...(repo?.files.keys() ?? [])].sort()).toEqual(['README.md', 'data/train.parquet'])
    expect(repo?.files.get('README.md')?.toString()).toContain('path: data/train.parquet')
    expect(repo?.files.get('data/train.parquet')?.subarray(0, 4).toString()).toBe('PAR1')
    const [stage] = events
    const total = stage?.type === 'stage' ? stage.total : undefined
    expect(total).toBeGreaterThan(0)
    const done = events.flatMap((event) => (event.type === 'progress' ? [event.done] : []))
    expect(done).toEqual([...done].sort((a, b) => a - b))
    expect(done.at(-1)).toBe(total)
    expect(events.at(-1)).toEqual({ type: 'artefact', kind: 'hub', path: `${endpoint}/datasets/ann/reports` })
  })

  it('is public only when asked', async () => {
    await upload('ann/open', { private: false })
    expect(repos.get('ann/open')?.private).toBe(false)
  })

  it('goes into a dataset that is there already, and sends nothing twice', async () => {
    await upload('ann/reports')
    await upload('ann/reports')
    expect(repos.get('ann/reports')?.commits).toBe(2)
    expect(requests.filter((request) => request.startsWith('PUT')).length).toBe(1)
  })

  it('refuses to put what was to be private into a public dataset', async () => {
    repos.set('ann/open', { private: false, files: new Map(), commits: 0 })
    const error = await failure(upload('ann/open'))
    expect(error.message).toBe(
      'expected the dataset ann/open to be private or new, and it is public; nothing was uploaded',
    )
    expect(error.code).toBe('usage')
    expect(objects.size).toBe(0)
  })

  it('tries again after 503 and 429, at every step', async () => {
    faults = [
      { path: '/api/repos/create', status: 503 },
      { path: 'preupload', status: 429 },
      { path: 'lfs/objects/batch', status: 502 },
      { path: '/object/', status: 500 },
      { path: 'commit', status: 503 },
    ]
    // Four faults in one upload are as many as it takes.
    await upload('ann/reports')
    expect(faults).toEqual([])
    expect(repos.get('ann/reports')?.files.size).toBe(2)
  })

  it('gives up after five failures with a clear error', async () => {
    faults = Array.from({ length: 9 }, () => ({ path: 'preupload', status: 503 }))
    const error = await failure(upload('ann/reports'))
    expect(error.message).toBe('could not upload ann/reports: the Hub answered with status 503')
    expect(error.code).toBe('storage')
    expect(faults.length).toBe(4)
  })

  it('does not repeat what was refused, and never shows the token', async () => {
    const wrong = await failure(
      upload('ann/reports', { env: { HF_TOKEN: 'hf_wrong', HF_ENDPOINT: endpoint } }),
    )
    expect(wrong.message).toBe('the Hub refused the token for ann/reports (status 401)')
    expect(wrong.code).toBe('dependency')
    expect(requests.length).toBe(1)
    const cause = wrong.cause as Error
    expect(`${wrong.stack} ${wrong.hint} ${cause.message} ${cause.stack}`).not.toContain('hf_wrong')
  })

  it('says what is missing before anything is sent', async () => {
    expect((await failure(upload('ann/reports', { env: {} }))).message).toBe('HF_TOKEN is not set')
    const shape = await failure(upload('ann/reports', { env: { HF_TOKEN: 'secret-thing' } }))
    expect(shape.message).toBe('expected HF_TOKEN to begin with "hf_", got something else')
    expect(shape.code).toBe('dependency')
    expect((await failure(upload('reports'))).message).toBe(
      'expected a dataset name like owner/name, got "reports"',
    )
    expect(requests).toEqual([])
  })

  it('says when the Hub cannot be reached', async () => {
    const away = 'http://127.0.0.1:1'
    const error = await failure(upload('ann/reports', { env: { HF_TOKEN: TOKEN, HF_ENDPOINT: away } }))
    expect(error.message).toBe(`could not upload ann/reports: ${away} cannot be reached`)
    expect(error.code).toBe('storage')
  })
})
