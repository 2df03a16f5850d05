// The participant's page in Chromium: it takes part with the coordinator's own model, its votes are those of the Node
// client on the same texts, nothing of a text leaves, nobody else is asked, and it can stop and forget.
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEmbedder, findEncoder } from '../../src/embeddings/create.ts'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { type Matrix, row } from '../../src/embeddings/matrix.ts'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { createFederatedClient } from '../../src/federation/client/client.ts'
import { plainNeighbours } from '../../src/federation/client/nearest.ts'
import { ownVoter } from '../../src/federation/client/own-vote.ts'
import type { ClientPolicy } from '../../src/federation/client/policy.ts'
import { openStateFolder } from '../../src/federation/client/state-folder.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { buildPage } from '../../src/federation/page/build.mjs'
import { decodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { parseManifest } from '../../src/federation/protocol/manifest.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { epsilonOf } from '../../src/privacy/accountant.ts'
import type { MechanismEvent } from '../../src/privacy/events.ts'
import { CANARY, leaksIn, sentence } from '../run/workspace.ts'
import { CHROMIUM, FLAGS, findChromium, PATIENCE_MS } from './chromium.ts'
import { exampleTerms, openedRound } from './example.ts'
import { debianRows, offeredBy, pageCoordinator } from './page-coordinator.ts'

const found = findChromium()
/** How many texts are compared between page and Node; docs/federation.md has what 1,000 gave. */
const TEXTS = Number(process.env.PRETEXT_TEXTS ?? 48)
const SHOTS = process.env.PRETEXT_SCREENSHOTS

const POLICY: ClientPolicy = {
  epsilon: 100,
  delta: 1e-5,
  adjacency: 'add-remove',
  minimumCohort: 2,
  aggregation: ['trusted'],
}

describe.skipIf(!found)(
  `the page (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`,
  () => {
    let folder: string
    let browser: Browser
    let embedder: Embedder
    let candidates: Matrix
    let served: Awaited<ReturnType<typeof pageCoordinator>>
    /** Every request of every page: method, address, headers and body. */
    const requests: { readonly host: string; readonly all: string }[] = []
    const complaints: string[] = []

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'page-'))
      const assets = join(folder, 'assets')
      await buildPage(assets)
      await build({
        entryPoints: [resolve(import.meta.dirname, '../../src/federation/client/browser.ts')],
        outfile: join(assets, 'sdk.js'),
        bundle: true,
        platform: 'browser',
        format: 'esm',
        logLevel: 'warning',
      })
      embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'cpu' })
      const { files, dtype } = await findEncoder({ model: 'all-MiniLM-L6-v2' })
      expect(dtype).toBe('int8')
      candidates = await embedder.embed((await debianRows('heldout')).slice(0, 256).map(({ text }) => text))
      served = await pageCoordinator(folder, { assets, embedder: offeredBy(embedder, files, 128) })
      // A name that is not this machine's, for the page without TLS.
      const args = [...FLAGS, '--host-resolver-rules=MAP coordinator.test 127.0.0.1']
      browser = await chromium.launch({ executablePath: CHROMIUM, args, timeout: PATIENCE_MS })
    })
    afterAll(async () => {
      await browser?.close()
      await served?.close()
      await embedder?.dispose()
    })

    async function opened(
      options: Parameters<Browser['newContext']>[0] = {},
    ): Promise<[Page, BrowserContext]> {
      const context = await browser.newContext(options)
      context.setDefaultTimeout(PATIENCE_MS)
      context.on('request', async (request) => {
        const body = request.postDataBuffer()?.toString('latin1') ?? ''
        const headers = JSON.stringify(await request.allHeaders().catch(() => request.headers()))
        requests.push({
          host: new URL(request.url()).host,
          all: `${request.method()} ${request.url()} ${headers} ${body}`,
        })
      })
      const page = await context.newPage()
      page.on('console', (message) => complaints.push(message.text()))
      page.on('pageerror', (error) => complaints.push(error.message))
      await page.goto(`${served.url}/join`)
      return [page, context]
    }

    const terms = (round: number) =>
      exampleTerms({
        round,
        rounds: 2,
        run: 'page',
        candidates,
        embedder: embedder.identity,
        openSeconds: 600,
        cohort: { minimum: 2, target: 2, seats: 3 },
      })

    async function fill(page: Page, file: string, change: { epsilon?: string; cohort?: string } = {}) {
      const [token = ''] = await mintTokens(served.store, 1, 0)
      await page.locator('#who').waitFor()
      await page.getByLabel('A file with your texts').setInputFiles(file)
      await page.getByLabel(/ever spend/).fill(change.epsilon ?? '4')
      await page.getByLabel(/Fewest people/).fill(change.cohort ?? '2')
      if (await page.getByLabel(/one-time token/).isVisible())
        await page.getByLabel(/one-time token/).fill(token)
      await page.getByLabel(/^I agree/).check()
      await page.getByRole('button', { name: 'Take part' }).click()
    }

    it('embeds as Node does: the nearest candidates of Debian texts', async () => {
      const texts = (await debianRows()).slice(0, TEXTS).map(({ text }) => text)
      const [page] = await opened()
      const { values, seconds } = (await page.evaluate(
        `(async () => {
        const { createBrowserEmbedder, fetchEmbedder } = await import('${served.url}/join/assets/sdk.js')
        const server = '${served.url}'
        const embedder = createBrowserEmbedder(await fetchEmbedder(server), { server })
        await embedder.embed(['warm'])
        const started = performance.now()
        const values = []
        for (const text of ${JSON.stringify(texts)}) values.push(...(await embedder.embed([text])).values)
        return { values, seconds: (performance.now() - started) / 1000 }
      })()`,
      )) as { values: number[]; seconds: number }
      const dim = embedder.identity.dim
      const inPage = { rows: texts.length, dim, values: Float32Array.from(values) }
      let differing = 0
      let largest = 0
      const neighbours = plainNeighbours(candidates, 'l2')
      for (const [i, text] of texts.entries()) {
        const own = await embedder.embed([text])
        const theirs = { rows: 1, dim, values: row(inPage, i) }
        const [a, b] = [await neighbours.nearest(own, 1), await neighbours.nearest(theirs, 1)]
        if (a.indices[0] !== b.indices[0]) differing++
        own.values.forEach((value, d) => {
          largest = Math.max(largest, Math.abs(value - (theirs.values[d] as number)))
        })
      }
      console.info(
        `nearest of ${candidates.rows} candidates differs for ${differing} of ${texts.length} texts; largest difference of a coordinate ${largest.toExponential(1)}; ${(texts.length / seconds).toFixed(0)} texts/s by WASM`,
      )
      expect(differing).toBe(0)
      await page.context().close()
    })

    const shot = async (page: Page, name: string) => {
      if (SHOTS !== undefined) await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true })
    }
    const texts = (n: number) =>
      Array.from({ length: 3 }, (_, i) => sentence(1000 + n * 10 + i, `${CANARY}${n}`))
    const textFile = async (name: string, content: string) => {
      const file = join(folder, name)
      await writeFile(file, content)
      return file
    }
    /** The exact sum that these clients' votes give, by the code of a simulated client. */
    async function expected(hash: string, clients: readonly (readonly string[])[]): Promise<bigint[]> {
      const manifest = parseManifest((await served.store.blob(hash)) as Uint8Array, hash)
      const { sha256, ...shape } = manifest.candidates
      const asSent = decodeCandidates((await served.store.blob(sha256)) as Uint8Array, shape)
      const sums = new Array<bigint>(shape.count).fill(0n)
      for (const own of clients) {
        const { indices, steps } = await ownVoter({ texts: own }, embedder).vote(manifest, asSent)
        for (const [i, index] of indices.entries())
          sums[index] = (sums[index] as bigint) + (steps[i] as bigint)
      }
      return sums
    }

    it('takes part in two rounds beside a Node client, and the exact sums are the simulator’s', async () => {
      const state = await openStateFolder(join(folder, 'node-client'), POLICY)
      const node = createFederatedClient({ server: served.url, policy: POLICY, embedder, ...state })
      const [token = ''] = await mintTokens(served.store, 1, 0)
      await node.enrol(token)
      const [page, context] = await opened({ viewport: { width: 1000, height: 900 } })
      await shot(page, '1-asked')
      await fill(page, await textFile('mine.txt', `${texts(1).join('\n')}\n`))
      expect(await page.locator('#read').textContent()).toBe('3 texts read on this device.')
      const nodeDone = (async () => {
        for await (const _ of node.participate({ texts: texts(2) }, { rounds: 2 })) await undefined
      })()
      for (const round of [1, 2]) {
        const { hash, closed } = await openedRound(served.coordinator, terms(round))
        const sums = exactSums(await sumVotes(await closed))
        expect([...sums]).toEqual(await expected(hash, [texts(1), texts(2)]))
        await page.locator(`#round-${round} .yes`, { hasText: 'Counted' }).waitFor()
        if (round === 1) await shot(page, '2-voted')
      }
      await nodeDone
      await served.store.setControl('finished')
      await page.getByText('All rounds are over').waitFor()
      expect(await page.locator('#receipts tr').count()).toBe(2)
      expect(await page.locator('#kept-words').textContent()).toContain('in 2 rounds')
      await shot(page, '3-finished')
      const { epsilon } = await client(state.ledger)
      expect(await page.locator('#now').textContent()).toContain(`epsilon ${epsilon}`)
      await served.store.reopen()
      await state.release()

      // Forgetting: asked once more, then nothing is left in this browser.
      await page.getByRole('button', { name: 'Stop' }).waitFor({ state: 'hidden' })
      await page.getByRole('button', { name: 'Forget everything' }).click()
      await shot(page, '4-sure')
      await page.getByRole('button', { name: 'Yes, forget' }).click()
      await page.getByText('Nothing yet.').waitFor()
      expect(
        await page.evaluate('indexedDB.databases().then((all) => all.map(({ name }) => name))'),
      ).not.toContain('pretext-client-values')
      await page.locator('#token-field').waitFor({ state: 'visible' })
      await context.close()
    })
    const client = async (ledger: { charged(): Promise<readonly MechanismEvent[]> }) => ({
      epsilon: epsilonOf(await ledger.charged(), 1e-5).toFixed(2),
    })

    it('refuses a round beyond the limits: which one is said, and no vote leaves', async () => {
      const { closed } = await openedRound(served.coordinator, { ...terms(1), run: 'beyond' }, stop.signal)
      closed.catch(() => {})
      const before = requests.length
      const [page, context] = await opened()
      await fill(page, await textFile('few.txt', texts(3).join('\n')), { epsilon: '0.1', cohort: '50' })
      await page.getByText('is beyond your limits').waitFor()
      const said = await page.locator('#round-1').innerText()
      expect(said).toContain('✗ its minimum cohort is 2; you asked for at least 50')
      expect(said).toMatch(
        /✗ with it your texts would have spent epsilon 1.9931 at delta 0.00001; you allow 0.1/,
      )
      await shot(page, '5-refused')
      expect(requests.slice(before).filter(({ all }) => all.startsWith('PUT'))).toEqual([])
      expect(await page.locator('#receipts tr').count()).toBe(0)
      await context.close()
      stop.abort()
    })
    const stop = new AbortController()

    it('stops when asked, says what is missing, and reads .csv and .jsonl without quoting them', async () => {
      const [page, context] = await opened({ viewport: { width: 400, height: 800 } })
      await page.locator('#who').waitFor()
      await page.getByRole('button', { name: 'Take part' }).click()
      const problem = page.getByRole('alert')
      expect(await problem.textContent()).toContain('Choose a file with at least one text.')
      expect(await page.evaluate('document.activeElement.id')).toBe('file')
      await shot(page, '6-missing')

      const pick = (file: string) => page.getByLabel('A file with your texts').setInputFiles(file)
      const read = (text: string) => page.locator('#read', { hasText: text }).waitFor()
      await pick(await textFile('a.csv', `id,text\n1,"${CANARY} one, with a comma"\n2,two\n`))
      await read('2 texts read on this device.')
      expect(await page.locator('#column').inputValue()).toBe('text')
      await pick(await textFile('a.jsonl', `{"text":"${CANARY}"}\n{"text":3}\n{"${CANARY}\n`))
      await read('1 text read on this device; 2 rows have no text and are left out.')
      await pick(await textFile('a.csv', `text\n"${CANARY} never closed\n`))
      await page
        .locator('#problem', { hasText: 'expected a table with quotes around whole fields' })
        .waitFor()
      expect(await problem.textContent()).not.toContain(CANARY)
      await pick(await textFile('a.pdf', CANARY))
      await page.locator('#problem', { hasText: 'expected a file that ends in .txt' }).waitFor()

      await fill(page, await textFile('mine.txt', texts(4).join('\n')))
      await page.getByText(/Waiting for the next round|comparing your texts/).waitFor()
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByText('Stopped. Nothing more leaves this device.').waitFor()
      expect(await page.getByRole('button', { name: 'Take part' }).isEnabled()).toBe(true)
      await shot(page, '7-narrow')
      // A vote that was made before the stop goes on as it is: counted once, whenever it was that the stop came.
      await page.getByRole('button', { name: 'Take part' }).click()
      await page.getByText('Waiting for the next round').waitFor()
      await page.getByRole('button', { name: 'Stop' }).click()
      await page.getByText('Stopped. Nothing more leaves this device.').waitFor()
      expect(await page.locator('#receipts tr').count()).toBe(1)
      expect(await page.locator('#kept-words').textContent()).toMatch(
        /have spent: epsilon 1.99 in 1 round\.$/,
      )
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(400)
      await context.close()
    })

    it('keeps its state over a reload, charges a release once, and lets one tab take part at a time', async () => {
      const [page, context] = await opened()
      await page.locator('#who').waitFor()
      const inPage = (tab: Page, body: string) =>
        tab.evaluate(
          `(async () => {
          const { openBrowserState } = await import('${served.url}/join/assets/sdk.js')
          const gaussian = { type: 'gaussian', noiseMultiplier: 2 }
          const policy = { epsilon: 100, delta: 1e-5, adjacency: 'add-remove' }
          ${body}
        })()`,
        )
      await inPage(
        page,
        `globalThis.state = await openBrowserState(policy)
       await state.storage.set('vote-1', 'first')
       await state.storage.set('vote-1', 'second')
       await Promise.all([1, 2, 3].map(() => state.ledger.charge('task', 'round-1', gaussian)))
       await state.ledger.charge('task', 'round-2', gaussian)`,
      )
      const less = `{ type: 'gaussian', noiseMultiplier: 1 }`
      const refused = `state.ledger.charge('task', 'round-1', ${less}).then(() => 'charged', (error) => error.message)`
      expect(await inPage(page, `return ${refused}`)).toBe(
        'release round-1 of run task was charged with other noise',
      )
      const other = await context.newPage()
      await other.goto(`${served.url}/join`)
      await other
        .getByText('another tab of this browser is taking part; go on there, or close it first')
        .waitFor()
      const second = inPage(other, `return openBrowserState().then(() => 'opened', (error) => error.message)`)
      expect(await second).toBe('another tab of this browser is taking part')
      // The tab is gone without a word: what it kept is there, and its lock is not.
      await page.close()
      const kept = await inPage(
        other,
        `const state = await openBrowserState()
       const { storage, ledger } = state
       const found = [await storage.get('vote-1'), await storage.get('vote-2'), await state.names(), await ledger.charged(),
         await ledger.has('task', 'round-1'), await ledger.has('other', 'round-1')]
       await state.forget()
       const again = await openBrowserState()
       return [...found, await again.names(), await again.ledger.charged()]`,
      )
      const gaussian = { type: 'gaussian', noiseMultiplier: 2 }
      expect(kept).toEqual(['second', undefined, ['vote-1'], [gaussian, gaussian], true, false, [], []])
      await context.close()
    })

    it('is under rules that let it talk to nobody else, and says so where there is no TLS', async () => {
      const context = await browser.newContext()
      context.setDefaultTimeout(PATIENCE_MS)
      const page = await context.newPage()
      const response = await page.goto(`${served.url}/join`)
      expect(response?.headers()['content-security-policy']).toMatch(/^default-src 'none'; /)
      await page.locator('#who').waitFor()
      const tried = await page.evaluate(
        `(async () => {
        const sent = await fetch('http://localhost:9/').then(() => true, () => false)
        const script = document.createElement('script')
        script.textContent = 'globalThis.inline = true'
        document.body.append(script)
        const evaluated = await new Promise((resolve) => {
          addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective))
          fetch('http://localhost:9/').catch(() => {})
        })
        return [sent, globalThis.inline === true, evaluated]
      })()`,
      )
      expect(tried).toEqual([false, false, 'connect-src'])
      await page.goto(`${served.url.replace('127.0.0.1', 'coordinator.test')}/join`)
      await page.locator('#problem', { hasText: 'expected a page over https' }).waitFor()
      await context.close()
    })

    it('refuses model files that are not those of the announced sha256', async () => {
      const [page, context] = await opened()
      await page.route('**/join/model/*', async (route) => {
        const answer = await route.fetch()
        const body = Buffer.from(await answer.body())
        body[100] = (body[100] ?? 0) ^ 1
        await route.fulfill({ response: answer, body })
      })
      const message = await page.evaluate(
        `(async () => {
        const { createBrowserEmbedder, fetchEmbedder } = await import('${served.url}/join/assets/sdk.js')
        const embedder = createBrowserEmbedder(await fetchEmbedder('${served.url}'), { server: '${served.url}' })
        return embedder.embed(['a text']).then(() => 'embedded', (error) => error.message)
      })()`,
      )
      expect(message).toMatch(
        /^expected the file config.json of the embedder with sha256 [0-9a-f]{64}, got another$/,
      )
      await context.close()
    })

    it('can be used by keyboard, has a name for every field and enough contrast in both colour schemes', async () => {
      for (const colorScheme of ['light', 'dark'] as const) {
        const [page, context] = await opened({ colorScheme })
        await page.locator('#who').waitFor()
        const unnamed = await page.evaluate(
          `[...document.querySelectorAll('input, select')].filter((field) => !field.labels?.[0]?.textContent.trim()).map(({ id }) => id)`,
        )
        expect(unnamed).toEqual([])
        expect(await page.evaluate(CONTRAST)).toEqual([])
        const order: string[] = []
        for (let i = 0; i < 12; i++) {
          await page.keyboard.press('Tab')
          order.push(
            (await page.evaluate('document.activeElement.id || document.activeElement.tagName')) as string,
          )
        }
        const fields = ['file', 'epsilon', 'cohort', 'token', 'consent', 'start']
        expect(order.filter((id) => fields.includes(id)).slice(0, fields.length)).toEqual(fields)
        if (colorScheme === 'dark') await shot(page, '8-dark')
        await context.close()
      }
    })

    it('no text, nor a piece or hash of one, was in any request, and nobody but the coordinator was asked', () => {
      expect(requests.length).toBeGreaterThan(30)
      expect(requests.filter(({ all }) => all.startsWith('PUT')).length).toBeGreaterThanOrEqual(2)
      expect(requests.flatMap(({ all }) => leaksIn(all))).toEqual([])
      expect([...new Set(requests.map(({ host }) => host))]).toEqual([new URL(served.url).host])
      expect(complaints).toEqual([])
    })
  },
)

/** Texts whose colour differs too little from what is behind them (WCAG 2.2, 1.4.3: 4.5 to 1). */
const CONTRAST = `(() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number)
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parts(getComputedStyle(e).backgroundColor)
      if (a > 0) return [r, g, b]
    }
    return [255, 255, 255]
  }
  return [...document.querySelectorAll('body *')].flatMap((element) => {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim() !== '')
    if (!own || element.offsetParent === null) return []
    const [a, b] = [light(parts(getComputedStyle(element).color)), light(behind(element))]
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
    return ratio < 4.5 ? [element.textContent.trim().slice(0, 40) + ' ' + ratio.toFixed(1)] : []
  })
})()`
