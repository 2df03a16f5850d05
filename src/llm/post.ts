// One POST over connections that are kept: a third of the processor time of `fetch`, which a fast server would wait for. Nothing is
// sent twice here: who asks knows what may be.
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { VERSION } from '../version.ts'

export interface Received {
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly text: string
}

/** A kept connection ended under a request, which the server may have read. */
export class KeptConnectionEnded extends Error {
  override readonly name = 'KeptConnectionEnded'
}

// As many connections as requests: how many there are is decided by who asks.
const KEPT = { keepAlive: true, maxFreeSockets: Number.POSITIVE_INFINITY }
const AGENTS = { http: new HttpAgent(KEPT), https: new HttpsAgent(KEPT) }
/** Answers are read as they are. */
const ALWAYS = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': `pretext/${VERSION}` }

/** Throws what Node says where nothing, or not all, was answered until `signal`. Follows no redirect. */
export function post(
  address: string,
  headers: Readonly<Record<string, string>>,
  text: string,
  signal: AbortSignal,
): Promise<Received> {
  return new Promise((resolve, reject) => {
    const url = new URL(address)
    const body = Buffer.from(text)
    const [request, agent] =
      url.protocol === 'https:' ? [httpsRequest, AGENTS.https] : [httpRequest, AGENTS.http]
    const own = { ...ALWAYS, ...headers, 'content-length': String(body.length) }
    const asked = request(url, { method: 'POST', agent, headers: own, signal }, (answer) => {
      read(answer).then(resolve, reject)
    })
    asked.on('error', (error) => {
      reject(asked.reusedSocket ? new KeptConnectionEnded(error.message, { cause: error }) : error)
    })
    // Without this Node says nothing more of such a request.
    asked.on('upgrade', (_, socket) => {
      socket.destroy()
      reject(new Error('it wants to speak another protocol'))
    })
    asked.end(body)
  })
}

async function read(answer: IncomingMessage): Promise<Received> {
  const chunks: Buffer[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) headers.set(name, String(value))
  return {
    status: answer.statusCode ?? 0,
    statusText: answer.statusMessage ?? '',
    headers,
    text: new TextDecoder().decode(Buffer.concat(chunks)),
  }
}
