// A server that speaks the Hub's file protocol on one port and its storage on another (another origin, as the real one
// has it), with faults that a test switches on.
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface ServedFile {
  content: Buffer
  /** Large files redirect to the storage and carry their sha256; small ones come at once with a git hash. */
  lfs: boolean
  /** What the Hub claims about it, if that is not the truth. */
  claimedSha256?: string
  claimedBytes?: number
}

export interface Request {
  readonly server: 'hub' | 'storage'
  readonly method: string
  readonly path: string
  readonly range: string | undefined
  readonly authorization: string | undefined
}

export interface HubServer {
  readonly endpoint: string
  /** Keys: `owner/name/path`. */
  readonly files: Map<string, ServedFile>
  readonly requests: Request[]
  commit: string
  /** Answers a request itself and returns true, or leaves it to the server. */
  fault: (request: Request, response: ServerResponse, file: ServedFile | undefined) => boolean
  close(): Promise<void>
}

export const sha256Of = (content: Buffer): string => createHash('sha256').update(content).digest('hex')

export async function startHub(): Promise<HubServer> {
  let storageUrl = ''
  const hub: HubServer = {
    endpoint: '',
    files: new Map(),
    requests: [],
    commit: 'c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00',
    fault: () => false,
    close: async () => {
      await Promise.all([stop(front), stop(storage)])
    },
  }

  const serve = (server: 'hub' | 'storage') => (message: IncomingMessage, response: ServerResponse) => {
    const url = new URL(message.url ?? '/', 'http://server')
    const request: Request = {
      server,
      method: message.method ?? '',
      path: decodeURIComponent(url.pathname),
      range: message.headers.range,
      authorization: message.headers.authorization,
    }
    hub.requests.push(request)
    const resolve = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(request.path)
    const name = server === 'storage' ? request.path.slice(1) : resolve ? `${resolve[1]}/${resolve[2]}` : ''
    const file = hub.files.get(name)
    if (hub.fault(request, response, file)) return
    if (server === 'hub' && request.path.startsWith('/api/models/')) return answerApi(hub, request, response)
    if (file === undefined) return void response.writeHead(404).end('not found')
    if (server === 'hub' && file.lfs) {
      response.writeHead(302, {
        location: `${storageUrl}/${name}`,
        'x-repo-commit': hub.commit,
        'x-linked-etag': `"${file.claimedSha256 ?? sha256Of(file.content)}"`,
        'x-linked-size': file.claimedBytes ?? file.content.length,
      })
      return void response.end()
    }
    sendContent(request, response, file.content)
  }

  const front = createServer(serve('hub'))
  const storage = createServer(serve('storage'))
  storageUrl = await listen(storage)
  const endpoint = await listen(front)
  return Object.assign(hub, { endpoint })
}

/** The whole file, or the asked range of it. */
export function sendContent(request: Request, response: ServerResponse, content: Buffer): void {
  const start = rangeOf(request)
  const etag = `"${createHash('sha1').update(content).digest('hex')}"`
  if (start >= content.length && start > 0) return void response.writeHead(416).end()
  const headers = { etag, 'content-length': content.length - start }
  if (start > 0) {
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${content.length - 1}/${content.length}`,
    })
  } else response.writeHead(200, headers)
  response.end(request.method === 'HEAD' ? undefined : content.subarray(start))
}

/** Announces everything, sends `count` bytes of it and cuts the line once they `arrived`: so many of the whole are there. */
export function sendAndBreak(
  request: Request,
  response: ServerResponse,
  content: Buffer,
  count: number,
  arrived: (bytes: number) => boolean,
): void {
  const start = rangeOf(request)
  const end = start + count
  const range = { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` }
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': content.length - start,
    ...(start > 0 ? range : {}),
  })
  const wait = () =>
    setTimeout(() => (end >= content.length || arrived(end) ? response.destroy() : wait()), 20)
  response.write(content.subarray(start, end), wait)
}

export function rangeOf(request: Request): number {
  return Number(/^bytes=(\d+)-$/.exec(request.range ?? '')?.[1] ?? 0)
}

function answerApi(hub: HubServer, request: Request, response: ServerResponse): void {
  const match = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(request.path)
  const repo = match?.[1]
  const own = [...hub.files].filter(([name]) => name.startsWith(`${repo}/`))
  if (repo === undefined || own.length === 0) {
    response.writeHead(404, { 'content-type': 'application/json' })
    return void response.end('{"error":"Repository not found"}')
  }
  const tree = own.map(([name, file]) => {
    const size = file.content.length
    const entry = { type: 'file', path: name.slice(repo.length + 1), size, oid: '0'.repeat(40) }
    return file.lfs ? { ...entry, lfs: { oid: sha256Of(file.content), size, pointerSize: 130 } } : entry
  })
  const info = { _id: '1', id: repo, sha: hub.commit, tags: ['gguf', 'license:mit'], private: false }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(match?.[2] === 'tree' ? tree : info))
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    })
  })
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}
