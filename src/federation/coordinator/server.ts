// A coordinator or a helper on a port: HTTP, or HTTPS with a certificate. Slow and endless requests are cut off; on the way out it
// takes no new connection, answers what it has, and is gone within seconds.
import { readFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type { Hono } from 'hono'
import { PretextError } from '../../errors.ts'

export interface ListenOptions {
  readonly host: string
  readonly port: number
  /** Files in PEM. */
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** At the same time. */
  readonly connections?: number
}

/** What is waited for on the way out. */
interface Served {
  readonly votes: { idle(): Promise<void> }
}

export interface Listening {
  readonly url: string
  close(): Promise<void>
}

const LIMITS = {
  requestTimeout: 15_000,
  headersTimeout: 10_000,
  maxHeaderSize: 16_384,
  keepAliveTimeout: 15_000,
}
const DRAIN_MS = 4000
/**
 * Connections at the same time. Each can make this process hold its headers and what was read ahead of its body,
 * whoever it is; bodies are read for those who may send them (read-body.ts).
 */
export const MOST_CONNECTIONS = 2048

export async function listen(
  app: Pick<Hono, 'fetch'>,
  served: Served,
  options: ListenOptions,
): Promise<Listening> {
  const { host, port, tls } = options
  const own = tls === undefined ? undefined : await readTls(tls)
  const server = await new Promise<Server>((resolve, reject) => {
    const common = { fetch: app.fetch, hostname: host, port, overrideGlobalObjects: false }
    const started =
      own === undefined
        ? serve({ ...common, serverOptions: LIMITS }, () => resolve(started as Server))
        : serve({ ...common, createServer: createTlsServer, serverOptions: { ...LIMITS, ...own } }, () =>
            resolve(started as Server),
          )
    started.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)))
  })
  server.maxConnections = options.connections ?? MOST_CONNECTIONS
  // Those who only keep a connection for later give way; whoever was not let in tries again.
  server.on('drop', () => server.closeIdleConnections())
  const address = server.address() as AddressInfo
  const shownHost = host.includes(':') ? `[${host}]` : host
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${shownHost}:${address.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
      await closed
      clearTimeout(cut)
      await served.votes.idle()
    },
  }
}

async function readTls({ certificate, key }: NonNullable<ListenOptions['tls']>) {
  const read = (path: string, what: string) =>
    readFile(path).catch((cause) => {
      throw new PretextError(`${path}: expected ${what} in PEM, could not read it`, { code: 'config', cause })
    })
  return { cert: await read(certificate, 'a certificate'), key: await read(key, 'a private key') }
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): PretextError {
  const why = error.code === 'EADDRINUSE' ? 'another program has it' : (error.code ?? 'it was refused')
  return new PretextError(`could not listen on ${host}:${port}: ${why}`, {
    code: 'config',
    hint: 'choose another port (federation.port or --port; 0 takes a free one)',
    cause: error,
  })
}
