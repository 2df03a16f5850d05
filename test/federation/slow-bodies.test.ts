// Senders that nobody knows, many at once, whose bodies never end: what the coordinator reads of them, and so what it holds,
// is bounded by what docs/federation.md states. Clients are known before a byte of theirs is read.
import { mkdtemp } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CLIENTS_HELD, coordinatorApp, STRANGERS_HELD } from '../../src/federation/coordinator/app.ts'
import type { Coordinator } from '../../src/federation/coordinator/coordinator.ts'
import { bodyRoom } from '../../src/federation/coordinator/read-body.ts'
import { listen, MOST_CONNECTIONS } from '../../src/federation/coordinator/server.ts'
import { utf8 } from '../../src/federation/protocol/bytes.ts'
import type { Identity } from '../../src/federation/protocol/signing.ts'
import { embeddedDatabase } from '../../src/federation/stores/embedded.ts'
import { sqlStore } from '../../src/federation/stores/sql-store.ts'
import type { Store } from '../../src/federation/stores/store.ts'
import {
  client,
  enrolAll,
  enrolmentBody,
  exampleCoordinator,
  exampleTerms,
  manualClock,
  openedRound,
  signedRequest,
  voteFor,
} from './example.ts'

let store: Store
let clock: ReturnType<typeof manualClock>
let coordinator: Coordinator
let app: ReturnType<typeof coordinatorApp>
let clients: Identity[]
let vote: string

beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slow-'))
  store = await sqlStore(await embeddedDatabase(join(folder, 'store.db')))
  clock = manualClock()
  clients = await enrolAll(store, 2)
  coordinator = await exampleCoordinator(store, { clock })
  app = coordinatorApp(coordinator)
  vote = `/v1/rounds/${(await openedRound(coordinator, exampleTerms())).hash}/vote`
})
afterEach(() => store.close())

/** Bodies that give what is asked of them, up to a size, and never end; how much was asked of all of them. */
function slowBodies() {
  const read = { bytes: 0 }
  const body = (size: number) => {
    let left = size
    return new ReadableStream(
      {
        pull(controller) {
          const bytes = Math.min(left, 512)
          // No more, and no end: the sender waits.
          if (bytes === 0) return new Promise(() => {})
          left -= bytes
          read.bytes += bytes
          controller.enqueue(new Uint8Array(bytes))
          return undefined
        },
      },
      { highWaterMark: 0 },
    )
  }
  return { read, body }
}

type Method = 'PUT' | 'POST'

/** A request with the headers of one that was signed over `signed`, and a body that does not end. */
function slow(
  who: Identity,
  method: Method,
  path: string,
  signed: Uint8Array,
  body: ReadableStream,
  said = 0,
) {
  const { headers, url } = signedRequest(who, method, path, signed, coordinator.task, clock.now())
  if (said > 0) headers.set('content-length', String(said))
  return new Request(url, { method, headers, body, duplex: 'half' } as RequestInit)
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 50))
const codeOf = async (answer: Response | undefined) =>
  answer === undefined ? 'waiting' : ((await answer.json()) as { code: string }).code

/** Sends all of them at once; what was answered while their bodies go on. */
async function answersTo(requests: readonly Request[]): Promise<string[]> {
  const answers: (Response | undefined)[] = requests.map(() => undefined)
  requests.forEach((request, i) => {
    void Promise.resolve(app.fetch(request)).then((answer) => {
      answers[i] = answer
    })
  })
  for (let quiet = 0, before = -1; quiet < 3; ) {
    await settled()
    const now = answers.filter((answer) => answer !== undefined).length
    quiet = now === before ? quiet + 1 : 0
    before = now
  }
  return Promise.all(answers.map(codeOf))
}

describe('1,000 bodies at once that never end', () => {
  const count = (codes: readonly string[]) => {
    const sums = new Map<string, number>()
    for (const code of codes) sums.set(code, (sums.get(code) ?? 0) + 1)
    return Object.fromEntries(sums)
  }

  it('of senders that are not enrolled: nothing of them is read', async () => {
    const { read, body } = slowBodies()
    const requests = Array.from({ length: 1000 }, (_, n) =>
      slow(client(100 + n), 'PUT', vote, voteFor(1), body(100_000)),
    )
    expect(count(await answersTo(requests))).toEqual({ unsigned: 1000 })
    expect(read.bytes).toBe(0)
  })

  it.each([
    ['without a signature', (headers: Headers) => headers.delete('authorization'), 'unsigned'],
    ['without the hash of the body', (headers: Headers) => headers.delete('pretext-body'), 'unsigned'],
    [
      'with the hash of another body than was signed',
      (headers: Headers) => headers.set('pretext-body', 'a'.repeat(64)),
      'unsigned',
    ],
    [
      'in a client’s name',
      (headers: Headers) => {
        const header = headers.get('authorization') as string
        headers.set('authorization', header.replace(/signature=.*/, `signature=${'A'.repeat(86)}`))
      },
      'unsigned',
    ],
  ])('%s: nothing of them is read, votes, seats and enrolments alike', async (_, change, code) => {
    const { read, body } = slowBodies()
    const requests = Array.from({ length: 300 }, (_, n) => {
      const path = n % 2 === 0 ? vote : vote.replace(/vote$/, 'seat')
      const one = slow(clients[0] as Identity, n % 2 === 0 ? 'PUT' : 'POST', path, voteFor(1), body(100_000))
      change(one.headers)
      return one
    })
    expect(count(await answersTo(requests))).toEqual({ [code]: 300 })
    expect(read.bytes).toBe(0)
  })

  it('of a signature that has run out: nothing of them is read', async () => {
    const { read, body } = slowBodies()
    const old = slow(clients[0] as Identity, 'PUT', vote, voteFor(1), body(1000))
    const enrolment = enrolmentBody('t'.repeat(32), client(50))
    const oldEnrolment = slow(client(50), 'POST', '/v1/clients', enrolment, body(1000))
    clock.advance(300_001)
    expect(await answersTo([old, oldEnrolment])).toEqual(['expired', 'expired'])
    expect(read.bytes).toBe(0)
  })

  it('of enrolments, whose key only the body tells: 1 MiB of all of them together', async () => {
    const { read, body } = slowBodies()
    const requests = Array.from({ length: 1000 }, (_, n) =>
      slow(client(100 + n), 'POST', '/v1/clients', utf8('{}'), body(4096)),
    )
    const codes = count(await answersTo(requests))
    expect(codes).toEqual({ waiting: STRANGERS_HELD / 4096, 'try-later': 1000 - STRANGERS_HELD / 4096 })
    expect(read.bytes).toBeLessThanOrEqual(STRANGERS_HELD)
    expect(STRANGERS_HELD).toBe(2 ** 20)
    // A client that is known has room of its own, and votes meanwhile.
    const [one] = clients as [Identity]
    const honest = signedRequest(one, 'PUT', vote, voteFor(1), coordinator.task, clock.now())
    expect((await app.fetch(honest)).status).toBe(200)
  })

  it('room is given back whatever comes of a request', async () => {
    const bad = (n: number) =>
      app.fetch(signedRequest(client(n), 'POST', '/v1/clients', utf8('{}'), coordinator.task, clock.now()))
    for (let n = 0; n < 600; n++) expect((await bad(n)).status).toBe(400)
  })

  it('of clients: 256 MiB of all of them together, by what they say that they send', async () => {
    const [one] = clients as [Identity]
    const room = bodyRoom(1000)
    const of = (size: number | undefined) =>
      new Request('http://x.test', {
        method: 'PUT',
        body: 'x',
        headers: size === undefined ? {} : { 'content-length': String(size) },
      })
    const never = new Promise<void>(() => {})
    void room(of(600), { largest: 700 }, () => never)
    // Without a size, or with one that is none, the largest counts.
    await expect(room(of(undefined), { largest: 700 }, async () => 1)).rejects.toMatchObject({
      code: 'try-later',
    })
    await expect(room(of(Number.NaN), { largest: 700 }, async () => 1)).rejects.toMatchObject({
      code: 'try-later',
    })
    await expect(room(of(-500), { largest: 700 }, async () => 1)).rejects.toMatchObject({ code: 'try-later' })
    expect(await room(of(400), { largest: 700 }, async () => 1)).toBe(1)
    expect(CLIENTS_HELD).toBe(2 ** 28)

    // One of them has a part of it, and others theirs.
    const shared = bodyRoom(1000, 300)
    const by = (sender: string) => ({ largest: 700, sender })
    void shared(of(200), by('a'), () => never)
    await expect(shared(of(200), by('a'), async () => 1)).rejects.toMatchObject({ code: 'try-later' })
    expect(await shared(of(100), by('a'), async () => 1)).toBe(1)
    expect(await shared(of(700), by('b'), async () => 1)).toBe(1)
    expect(await shared(of(300), by('b'), async () => 1)).toBe(1)

    const { read, body } = slowBodies()
    const request = slow(one, 'PUT', vote, voteFor(1), body(10_000))
    // Known by its headers, it is read; not beyond what a vote can have.
    expect(await answersTo([request])).toEqual(['too-large'])
    expect(read.bytes).toBeLessThan(1024)
  })
})

it('over a socket: 300 strangers are answered while their bodies are on their way', async () => {
  const listening = await listen(app, coordinator, { host: '127.0.0.1', port: 0 })
  const sockets: Socket[] = []
  try {
    const { port } = new URL(listening.url)
    const answered = Array.from({ length: 300 }, (_, n) => {
      const { headers } = signedRequest(
        client(200 + n),
        'PUT',
        vote,
        voteFor(1),
        coordinator.task,
        clock.now(),
      )
      const lines = [...headers].map(([name, value]) => `${name}: ${value}`)
      return new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), '127.0.0.1')
        sockets.push(socket)
        socket.once('data', (data) => resolve(data.toString().split('\r\n')[0] ?? ''))
        socket.once('error', reject)
        socket.write(
          [`PUT ${vote} HTTP/1.1`, 'host: x', ...lines, 'content-length: 100', '', 'begun'].join('\r\n'),
        )
      })
    })
    expect(new Set(await Promise.all(answered))).toEqual(new Set(['HTTP/1.1 401 Unauthorized']))
  } finally {
    for (const socket of sockets) socket.destroy()
    await listening.close()
  }
})

it('connections are limited, and those that wait for nothing give way', async () => {
  expect(MOST_CONNECTIONS).toBe(2048)
  const listening = await listen(app, coordinator, { host: '127.0.0.1', port: 0, connections: 8 })
  const { port } = new URL(listening.url)
  const sockets: Socket[] = []
  const open = (text: string) => {
    const socket = connect(Number(port), '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    socket.write(text)
    return new Promise<string>((resolve) => {
      socket.once('data', (data) => resolve(data.toString().slice(0, 12)))
      socket.once('close', () => resolve('closed'))
    })
  }
  const asked = 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n'
  try {
    // Seven that do not end their headers, one that was answered and keeps its connection.
    const waiting = Array.from({ length: 7 }, () => open('GET /healthz HTTP/1.1\r\n'))
    expect(await open(asked)).toBe('HTTP/1.1 200')
    // One more is not let in, but the one that was idle is gone, so the next is.
    expect(await open(asked)).toBe('closed')
    expect(await open(asked)).toBe('HTTP/1.1 200')
    expect(await Promise.race([...waiting, 'still waiting'])).toBe('still waiting')
  } finally {
    for (const socket of sockets) socket.destroy()
    await listening.close()
  }
})
