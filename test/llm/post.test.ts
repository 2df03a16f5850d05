// Requests over kept connections: closed ones are noticed, torn answers and time limits are errors, nothing is followed elsewhere.
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { ask } from '../../src/llm/http.ts'
import { post } from '../../src/llm/post.ts'

let server: Server
async function serve(answer: RequestListener): Promise<string> {
  server = createServer(answer)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
}
afterEach(() => server.close())

const json = { 'content-type': 'application/json' }
const never = () => new AbortController().signal

describe('post', () => {
  it('sends the bytes of any text, and reads those of the answer', async () => {
    const url = await serve(async (incoming, answer) => {
      const chunks: Buffer[] = []
      for await (const chunk of incoming) chunks.push(chunk)
      answer.writeHead(201, { ...json, 'x-name': 'a, b' }).end(Buffer.concat(chunks))
    })
    const body = JSON.stringify({ text: 'naïve \u{1f600} \u2028 "quoted"'.repeat(10_000) })
    const received = await post(url, json, body, never())
    expect(received.text).toBe(body)
    expect(received.status).toBe(201)
    expect(received.headers.get('x-name')).toBe('a, b')
  })

  it('keeps every connection for the next requests', async () => {
    let connections = 0
    const url = await serve((_, answer) => void setTimeout(() => answer.writeHead(200, json).end('{}'), 100))
    server.on('connection', () => connections++)
    for (let wave = 0; wave < 3; wave++) {
      await Promise.all(Array.from({ length: 400 }, () => post(url, json, '{}', never())))
    }
    expect(connections).toBe(400)
  })

  it.each(['before the answer', 'within the answer'])(
    'sends nothing twice where a kept connection ends %s',
    async (when) => {
      let requests = 0
      const url = await serve((incoming, answer) => {
        requests++
        if (incoming.headers['x-last'] === undefined) return answer.writeHead(200, json).end('{}')
        if (when === 'within the answer') answer.writeHead(200, json).write('{"choices":')
        setTimeout(() => answer.socket?.resetAndDestroy(), 20)
      })
      await Promise.all(Array.from({ length: 10 }, () => post(url, json, '{}', never())))
      const attempt = { timeoutMs: 1000, key: undefined, keyName: 'KEY', now: Date.now }
      const asked = ask(attempt, url, { method: 'POST', headers: { ...json, 'x-last': '1' }, body: '{}' })
      await expect(asked).rejects.toMatchObject({ retry: 'patiently', unreached: false })
      expect(requests).toBe(11)
    },
  )

  it('ends where a server wants to speak another protocol', async () => {
    const url = await serve((_, answer) => answer.end())
    server.removeAllListeners('request')
    server.on('connection', (socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n')
    })
    await expect(post(url, json, '{}', never())).rejects.toThrow('another protocol')
  })

  it('reads JSON after a byte order mark', async () => {
    const url = await serve((_, answer) => answer.writeHead(200, json).end('\ufeff{"a":1}'))
    expect((await post(url, json, '{}', never())).text).toBe('{"a":1}')
  })

  it('fails where an answer breaks off', async () => {
    const url = await serve((_, answer) => {
      answer.writeHead(200, { ...json, 'content-length': '100' }).write('{"choices":')
      setTimeout(() => answer.destroy(), 20)
    })
    await expect(post(url, json, '{}', never())).rejects.toThrow('aborted')
  })

  it('follows no redirect with somebody’s key, and says so', async () => {
    const url = await serve((_, answer) => answer.writeHead(308, { location: 'http://127.0.0.1:1/' }).end())
    const attempt = { timeoutMs: 1000, key: 'secret', keyName: 'KEY', now: Date.now }
    const asked = ask(attempt, url, { method: 'POST', headers: json, body: '{}' })
    await expect(asked).rejects.toMatchObject({
      message: 'answered 308: Permanent Redirect',
      hint: 'llm.baseUrl leads elsewhere; name the address that it leads to',
    })
  })

  it('ends with its time limit, within the answer too', async () => {
    const url = await serve((_, answer) => answer.writeHead(200, json).write('{'))
    const attempt = { timeoutMs: 150, key: undefined, keyName: 'KEY', now: Date.now }
    const asked = ask(attempt, url, { method: 'POST', headers: json, body: '{}' })
    await expect(asked).rejects.toThrow('did not answer within 0.15 seconds')
    server.closeAllConnections()
  })
})
