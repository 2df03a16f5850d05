// What the scripts with ten clients share: a network with a certificate, programs at their places, a proxy that records, the
// texts of ten maintainers, pages in Chromium, and the sums of simulated clients on the same texts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { type Browser, chromium, type Page } from 'playwright-core'
import { createEmbedder } from '../../src/embeddings/create.ts'
import { buildPage } from '../../src/federation/page/build.mjs'
import { type Manifest, parseManifest } from '../../src/federation/protocol/manifest.ts'
import { CHROMIUM, FLAGS, PATIENCE_MS } from './chromium.ts'
import { SPOKEN } from './example.ts'
import { writeJsonl } from './jsonl.ts'
import { launcherAt, openNetwork, type Place } from './namespaces.ts'
import { type DebianRow, debianRows } from './page-coordinator.ts'
import { simulatedSums } from './simulated-sums.ts'

export const ROOT = resolve(import.meta.dirname, '../..')
export const CLIENTS = 10
export const ROUNDS = 3

export interface Recorded {
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Buffer
  readonly status: number
}

export interface Started {
  readonly child: ChildProcess
  /** The first line like this, now or later. */
  line(pattern: RegExp): Promise<string>
}

/** `more`: places for programs beside the clients. */
export async function openTenClients(more: number) {
  const folder = await mkdtemp(join(tmpdir(), 'ten-'))
  const network = openNetwork(CLIENTS + more)
  console.info(
    network.namespaces
      ? 'each program in a network namespace of its own'
      : 'no network namespaces here: all on the loopback',
  )
  const certificate = selfSigned(
    folder,
    [network.here, ...network.places].map(({ host }) => host),
  )
  await buildPage(join(ROOT, 'dist/federation/page/assets'))
  const embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'cpu' })
  const texts = await tenClients()
  for (const [n, own] of texts.entries()) {
    await writeJsonl(folder, `client-${n}.jsonl`, own)
    await writeFile(join(folder, `client-${n}.txt`), own.map(({ text }) => `${text}\n`).join(''))
  }
  const children: ChildProcess[] = []
  const browsers: Browser[] = []
  const proxies: Server[] = []

  /** A process at its place, and the lines of its output. */
  function started(place: Place, command: readonly string[], env: NodeJS.ProcessEnv = {}): Started {
    const [program = '', ...args] = [...place.prefix, ...command]
    const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, NO_COLOR: '1', ...env } })
    children.push(child)
    const said: string[] = []
    const wakers: (() => void)[] = []
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream as NodeJS.ReadableStream }).on('line', (line) => {
        said.push(line)
        for (const wake of wakers.splice(0)) wake()
      })
    }
    let ended = false
    child.once('exit', () => {
      ended = true
      for (const wake of wakers.splice(0)) wake()
    })
    return {
      child,
      async line(pattern) {
        for (;;) {
          const hit = said.find((one) => pattern.test(one))
          if (hit !== undefined) return hit
          if (ended) throw new Error(`it ended without ${pattern}:\n${said.join('\n')}`)
          await new Promise<void>((wake) => wakers.push(wake))
        }
      },
    }
  }

  const ask = (
    url: string,
    method: string,
    path: string,
    headers: Record<string, string> = SPOKEN,
    body?: Buffer,
  ) =>
    new Promise<{ status: number; headers: Record<string, string>; body: Buffer }>((answer, fail) => {
      const sent = request(`${url}${path}`, { method, headers, ca: certificate }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part) => parts.push(part))
        response.on('end', () =>
          answer({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            body: Buffer.concat(parts),
          }),
        )
      })
      sent.on('error', fail)
      sent.end(body)
    })

  /** Passes everything on to the coordinator, and keeps what a client sent. */
  async function recorder(url: string, recorded: Recorded[]): Promise<string> {
    const tls = { key: readFileSync(join(folder, 'key.pem')), cert: certificate }
    const proxy = createServer(tls, (asked, answer) => {
      const parts: Buffer[] = []
      asked.on('data', (part) => parts.push(part))
      asked.on('end', async () => {
        const { host: _, connection: __, ...headers } = asked.headers as Record<string, string>
        const body = Buffer.concat(parts)
        const path = asked.url ?? ''
        const from = await ask(url, asked.method ?? 'GET', path, headers, body)
        if (asked.method === 'PUT') recorded.push({ path, headers, body, status: from.status })
        const { connection: ___, 'transfer-encoding': ____, ...back } = from.headers
        answer.writeHead(from.status, back).end(from.body)
      })
    })
    proxies.push(proxy)
    await new Promise<void>((ready) => proxy.listen(0, network.here.host, ready))
    const address = proxy.address() as { port: number }
    return `https://${network.here.host}:${address.port}`
  }

  /** Someone with a page, who has agreed and waits for a round. */
  async function openPage(n: number, url: string, token: string, epsilon: string): Promise<Page> {
    const executablePath = launcherAt(network.places[n] as Place, CHROMIUM, folder, `chromium-${n}`)
    const browser = await chromium.launch({ executablePath, args: FLAGS, timeout: PATIENCE_MS })
    browsers.push(browser)
    const page = await browser.newPage({ ignoreHTTPSErrors: true })
    page.setDefaultTimeout(PATIENCE_MS)
    await page.goto(`${url}/join#token=${token}`)
    await page.locator('#who').waitFor()
    await page.getByLabel('A file with your texts').setInputFiles(join(folder, `client-${n}.txt`))
    await page.getByLabel(/ever spend/).fill(epsilon)
    await page.getByLabel(/Fewest people/).fill('9')
    await page.getByLabel(/^I agree/).check()
    await page.getByRole('button', { name: 'Take part' }).click()
    await page.getByText('Waiting for the next round').waitFor()
    return page
  }

  async function manifestOf(url: string, hash: string): Promise<Manifest> {
    return parseManifest(new Uint8Array((await ask(url, 'GET', `/v1/blobs/${hash}`)).body), hash)
  }

  /** The exact sums of the simulated clients on the same texts and the same candidates. */
  async function simulated(url: string, hash: string, clients: readonly number[]): Promise<string[]> {
    const manifest = await manifestOf(url, hash)
    const asSent = new Uint8Array((await ask(url, 'GET', `/v1/blobs/${manifest.candidates.sha256}`)).body)
    const rows = clients.flatMap((n) => texts[n] as DebianRow[])
    const path = await writeJsonl(folder, `simulated-${hash}.jsonl`, rows)
    return (await simulatedSums(manifest, asSent, path, embedder)).map(String)
  }

  /** A config of three rounds on these texts. */
  function configFor(host: string) {
    return {
      name: 'ten',
      data: { dataset: 'ten', public: { path: join(ROOT, 'data/debian/heldout.jsonl') }, maxWords: 64 },
      privacy: { unit: 'client', epsilon: 10, delta: 1e-5, minimumClients: 9 },
      evolution: {
        rounds: ROUNDS,
        population: 48,
        initial: { from: 'public' },
        variation: { minWords: 3 },
      },
      llm: { provider: 'scripted', model: 'scripted' },
      generate: { texts: 20, minWords: 3 },
      federation: { host, port: 0, tls, target: CLIENTS, roundMinutes: 10, pollSeconds: 1 },
      output: { folder: join(folder, 'runs') },
    }
  }
  const tls = { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }

  return {
    ...{ folder, network, tls, texts, started, ask, recorder, openPage, manifestOf, simulated, configFor },
    /** Environment of a program that trusts the certificate. */
    trusting: { NODE_EXTRA_CA_CERTS: tls.certificate },
    async close() {
      for (const browser of browsers) await browser.close().catch(() => {})
      for (const child of children) child.kill('SIGKILL')
      for (const proxy of proxies) proxy.close()
      await embedder.dispose()
      network.close()
    },
  }
}

export type TenClients = Awaited<ReturnType<typeof openTenClients>>

/** Ten maintainers with two to four descriptions each: all of a client's texts vote, so nothing is drawn by lot. */
async function tenClients(): Promise<DebianRow[][]> {
  const by = new Map<string, DebianRow[]>()
  for (const { client, text } of await debianRows()) {
    const words = text.split(/\s+/).length
    if (words < 5 || words > 60 || /\n/.test(text)) continue
    by.set(client, [...(by.get(client) ?? []), { client, text }])
  }
  return [...by.values()].filter(({ length }) => length >= 2 && length <= 4).slice(0, CLIENTS)
}

function selfSigned(folder: string, hosts: readonly string[]): string {
  const names = [...new Set(hosts)].map((host) => `IP:${host}`).join(',')
  const options =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=coordinator'
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  const made = spawnSync('openssl', [...options.split(' '), '-addext', `subjectAltName=${names}`, ...files])
  if (made.status !== 0) throw new Error('openssl made no certificate')
  return readFileSync(join(folder, 'cert.pem'), 'utf8')
}
