// Ten clients of a real federation on one machine: a coordinator process, eight "pretext join" and two Chromium pages, each
// in a network namespace of its own where that can be had, over TLS; three rounds on data/debian. One client is killed and
// comes back, one is killed for good, one's requests are sent again. The exact sums are the simulator's on the same texts.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { createEmbedder } from '../../src/embeddings/create.ts'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { buildPage } from '../../src/federation/page/build.mjs'
import { decodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { parseManifest } from '../../src/federation/protocol/manifest.ts'
import { voteOptionsOf } from '../../src/federation/protocol/vote-terms.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { embedClients } from '../../src/histogram/clients.ts'
import { createNeighbours } from '../../src/histogram/create-neighbours.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { readTexts } from '../../src/texts/read.ts'
import { CHROMIUM, FLAGS, findChromium } from './chromium.ts'
import { writeJsonl } from './jsonl.ts'
import { launcherAt, type Network, openNetwork, type Place } from './namespaces.ts'
import { type DebianRow, debianRows } from './page-coordinator.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const NODE_CLIENTS = 8
const CLIENTS = 10
const ROUNDS = 3
const [DIES, RETURNS, REPLAYED] = [5, 6, 7]
const EPSILON = '12'

const found = findChromium()

describe.skipIf(!found)(
  `ten clients (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`,
  () => {
    let folder: string
    let network: Network
    let certificate: string
    let embedder: Embedder
    let coordinator: ChildProcess
    const nodes: ChildProcess[] = []
    const browsers: Browser[] = []
    let proxy: Server

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'ten-'))
      network = openNetwork(CLIENTS + 1)
      console.info(
        network.namespaces
          ? 'each program in a network namespace of its own'
          : 'no network namespaces here: all on the loopback',
      )
      certificate = selfSigned([network.here, ...network.places].map(({ host }) => host))
      await buildPage(join(ROOT, 'dist/federation/page/assets'))
      embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'cpu' })
    })
    afterAll(async () => {
      for (const browser of browsers) await browser.close().catch(() => {})
      for (const child of [...nodes, coordinator]) child?.kill('SIGKILL')
      proxy?.close()
      await embedder?.dispose()
      network?.close()
    })

    function selfSigned(hosts: readonly string[]): string {
      const names = [...new Set(hosts)].map((host) => `IP:${host}`).join(',')
      const made = spawnSync('openssl', [
        ...'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=coordinator'.split(
          ' ',
        ),
        ...[
          '-addext',
          `subjectAltName=${names}`,
          '-keyout',
          join(folder, 'key.pem'),
          '-out',
          join(folder, 'cert.pem'),
        ],
      ])
      expect(made.status).toBe(0)
      return readFileSync(join(folder, 'cert.pem'), 'utf8')
    }

    /** A process and the lines of its output. */
    function started(place: Place, command: readonly string[], env: NodeJS.ProcessEnv = {}) {
      const [program = '', ...args] = [...place.prefix, ...command]
      const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, NO_COLOR: '1', ...env } })
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
      /** The first line like this, now or later. */
      const line = async (pattern: RegExp): Promise<string> => {
        for (;;) {
          const hit = said.find((one) => pattern.test(one))
          if (hit !== undefined) return hit
          if (ended) throw new Error(`it ended without ${pattern}:\n${said.join('\n')}`)
          await new Promise<void>((wake) => wakers.push(wake))
        }
      }
      return { child, line }
    }

    const joinCommand = (server: string, n: number, token: string) => [
      process.execPath,
      join(ROOT, 'bin/pretext.js'),
      ...['join', '--server', server, '--texts', join(folder, `client-${n}.jsonl`), '--token', token],
      ...[
        '--epsilon',
        EPSILON,
        '--delta',
        '1e-5',
        '--minimum-cohort',
        '9',
        '--state',
        join(folder, `state-${n}`),
      ],
    ]

    interface Recorded {
      readonly path: string
      readonly headers: Record<string, string>
      readonly body: Buffer
      readonly status: number
    }
    const ask = (
      url: string,
      method: string,
      path: string,
      headers: Record<string, string> = {},
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
      proxy = createServer(tls, (asked, answer) => {
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
      await new Promise<void>((ready) => proxy.listen(0, network.here.host, ready))
      const address = proxy.address() as { port: number }
      return `https://${network.here.host}:${address.port}`
    }

    it('three rounds: killed, replayed, and the exact sums are the simulator’s', async () => {
      const began = Date.now()
      const texts = await tenClients()
      for (const [n, own] of texts.entries()) {
        await writeJsonl(folder, `client-${n}.jsonl`, own)
        await writeFile(join(folder, `client-${n}.txt`), own.map(({ text }) => `${text}\n`).join(''))
      }
      const [home, ...places] = network.places as [Place, ...Place[]]
      await writeFile(join(folder, 'config.yaml'), stringify(configFor(home.host)))
      const serving = started(home, [
        ...[process.execPath, '--import', 'tsx', join(import.meta.dirname, 'ten-clients-child.ts')],
        ...[join(folder, 'config.yaml'), join(folder, 'out'), String(CLIENTS)],
      ])
      coordinator = serving.child
      const { url, tokens } = JSON.parse(await serving.line(/"url"/)) as { url: string; tokens: string[] }
      const recorded: Recorded[] = []
      const through = await recorder(url, recorded)

      const env = { NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') }
      const joined = Array.from({ length: NODE_CLIENTS }, (_, n) => {
        const server = n === REPLAYED ? through : url
        const client = started(places[n] as Place, joinCommand(server, n, tokens[n] as string), env)
        nodes.push(client.child)
        return client
      })
      const pages = []
      for (let n = NODE_CLIENTS; n < CLIENTS; n++) {
        const executablePath = launcherAt(places[n] as Place, CHROMIUM, folder, `chromium-${n}`)
        const browser = await chromium.launch({ executablePath, args: FLAGS })
        browsers.push(browser)
        const page = await browser.newPage({ ignoreHTTPSErrors: true })
        await page.goto(`${url}/join#token=${tokens[n]}`)
        await page.locator('#who').waitFor()
        await page.getByLabel('A file with your texts').setInputFiles(join(folder, `client-${n}.txt`))
        await page.getByLabel(/ever spend/).fill(EPSILON)
        await page.getByLabel(/Fewest people/).fill('9')
        await page.getByLabel(/^I agree/).check()
        await page.getByRole('button', { name: 'Take part' }).click()
        await page.getByText('Waiting for the next round').waitFor()
        pages.push(page)
      }
      await Promise.all(joined.map(({ line }) => line(/trusted aggregation/)))
      const ready = Date.now()
      coordinator.stdin?.write('go\n')

      const sums = async (round: number) =>
        JSON.parse(await serving.line(new RegExp(`"round":${round},`))) as { hash: string; sums: string[] }
      const everybody = Array.from({ length: CLIENTS }, (_, n) => n)

      // Round 1: everybody votes. What one sent is sent again.
      await (joined[REPLAYED] as (typeof joined)[0]).line(/round 1\/3: voted/)
      const vote = recorded[0] as Recorded
      expect(vote.status).toBe(200)
      expect([401, 410]).toContain((await ask(url, 'PUT', vote.path, vote.headers, vote.body)).status)
      const first = await sums(1)
      expect(first.sums).toEqual(await simulated(url, first.hash, everybody, texts))

      // Round 2: one is killed in the middle of it, and comes back with what it kept.
      const returning = joined[RETURNS] as (typeof joined)[0]
      await returning.line(/round 2\/3: what leaves/)
      returning.child.kill('SIGKILL')
      const back = started(
        places[RETURNS] as Place,
        joinCommand(url, RETURNS, tokens[RETURNS] as string),
        env,
      )
      nodes.push(back.child)
      const dying = joined[DIES] as (typeof joined)[0]
      await dying.line(/round 2\/3: voted/)
      dying.child.kill('SIGKILL')
      const open = JSON.parse((await ask(url, 'GET', '/v1/task')).body.toString()) as {
        round: { manifest: string } | null
      }
      for (const path of [vote.path, `/v1/rounds/${open.round?.manifest ?? first.hash}/vote`]) {
        const again = await ask(url, 'PUT', path, vote.headers, vote.body)
        expect([401, 410], path).toContain(again.status)
      }
      const second = await sums(2)
      expect(second.sums).toEqual(await simulated(url, second.hash, everybody, texts))

      // Round 3: nine are left; it ends by its deadline.
      const third = await sums(3)
      const left = everybody.filter((n) => n !== DIES)
      expect(third.sums).toEqual(await simulated(url, third.hash, left, texts))
      expect(new Set([first.hash, second.hash, third.hash]).size).toBe(ROUNDS)

      const { epsilon } = JSON.parse(await serving.line(/"epsilon"|"failed"/)) as { epsilon: number }
      for (const page of pages) {
        await page.getByText('All rounds are over').waitFor()
        expect(await page.locator('#receipts tr').count()).toBe(ROUNDS)
        expect(await page.locator('#now').textContent()).toContain(`epsilon ${epsilon.toFixed(2)}`)
      }
      const others = joined.filter((_, n) => n !== DIES && n !== RETURNS)
      for (const client of [...others, back]) await client.line(/votes counted; your texts have spent/)
      coordinator.stdin?.write('end\n')
      const seconds = (ms: number) => (ms / 1000).toFixed(0)
      console.info(
        `ready after ${seconds(ready - began)} s, three rounds in ${seconds(Date.now() - ready)} s`,
      )
    }, 400_000)

    /** The exact sums of the simulated clients on the same texts and the same candidates. */
    async function simulated(
      url: string,
      hash: string,
      clients: readonly number[],
      all: readonly DebianRow[][],
    ) {
      const blob = async (name: string) => new Uint8Array((await ask(url, 'GET', `/v1/blobs/${name}`)).body)
      const manifest = parseManifest(await blob(hash), hash)
      const { sha256, ...shape } = manifest.candidates
      const candidates = decodeCandidates(await blob(sha256), shape)
      const { texts } = await readTexts({
        path: await writeJsonl(
          folder,
          `simulated-${hash}.jsonl`,
          clients.flatMap((n) => all[n] as DebianRow[]),
        ),
        columns: { text: 'text', client: 'client' },
        unit: 'client',
        kind: 'private',
      })
      const options = voteOptionsOf(manifest)
      const neighbours = await createNeighbours(candidates, { distance: 'l2', backend: 'exact', seed: 0 })
      const positions = Array.from({ length: candidates.rows }, (_, i) => i)
      const local = await embedClients(texts, embedder, { ...options, onEvent: () => {} })
      const indexes = new Map([[0, { neighbours, positions }]])
      const votes = await local.countVotes(indexes, candidates.rows, options, voteBound(options))
      return [...exactSums(votes)].map(String)
    }

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

    function configFor(host: string) {
      return {
        name: 'ten',
        data: { dataset: 'ten', public: { path: join(ROOT, 'data/debian/heldout.jsonl') }, maxWords: 64 },
        privacy: { unit: 'client', epsilon: 10, delta: 1e-5, minimumClients: 9 },
        histogram: { maxTextsPerClient: 4 },
        evolution: {
          rounds: ROUNDS,
          population: 48,
          initial: { from: 'public' },
          variation: { minWords: 3 },
        },
        llm: { provider: 'scripted', model: 'scripted' },
        generate: { texts: 20, minWords: 3 },
        federation: {
          host,
          port: 0,
          tls: { certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem') },
          target: CLIENTS,
          roundMinutes: 1,
          pollSeconds: 1,
        },
        output: { folder: join(folder, 'runs') },
      }
    }
  },
)
