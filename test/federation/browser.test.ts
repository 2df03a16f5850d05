// The participant's page in Chromium: it takes part with the coordinator's own model, its votes are those of the Node
// client on the same texts, nothing of a text leaves, nobody else is asked, and it can stop and forget.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createEmbedder, findEncoder } from '../../src/embeddings/create.ts'
import type { Embedder } from '../../src/embeddings/embedder.ts'
import { type Matrix, row } from '../../src/embeddings/matrix.ts'
import { sumVotes } from '../../src/federation/aggregation/trusted.ts'
import { plainNeighbours } from '../../src/federation/client/nearest.ts'
import { ownVoter } from '../../src/federation/client/own-vote.ts'
import { mintTokens } from '../../src/federation/coordinator/operator.ts'
import { buildPage } from '../../src/federation/page/build.mjs'
import { decodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { parseManifest } from '../../src/federation/protocol/manifest.ts'
import { exactSums } from '../../src/histogram/exact-votes.ts'
import { leaksIn, sentence } from '../run/workspace.ts'
import { CHROMIUM, FLAGS, findChromium } from './chromium.ts'
import { exampleTerms, openedRound } from './example.ts'
import { debianRows, offeredBy, pageCoordinator } from './page-coordinator.ts'

const found = findChromium()
const CANARY = 'zebrafinchquartz4417'

describe.skipIf(!found)(`the page (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`, () => {
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
    embedder = await createEmbedder({ model: 'all-MiniLM-L6-v2', device: 'cpu' })
    const { files, dtype } = await findEncoder({ model: 'all-MiniLM-L6-v2' })
    expect(dtype).toBe('int8')
    candidates = await embedder.embed((await debianRows('heldout')).slice(0, 256).map(({ text }) => text))
    served = await pageCoordinator(folder, { assets, embedder: offeredBy(embedder, files, 128) })
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
  })
  afterAll(async () => {
    await browser?.close()
    await served?.close()
    await embedder?.dispose()
  })

  async function opened(options: Parameters<Browser['newContext']>[0] = {}): Promise<[Page, BrowserContext]> {
    const context = await browser.newContext(options)
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
      cohort: { minimum: 1, target: 1, seats: 2 },
    })

  async function fill(page: Page, file: string, change: { epsilon?: string; cohort?: string } = {}) {
    const [token = ''] = await mintTokens(served.store, 1, 0)
    await page.locator('#who').waitFor()
    await page.getByLabel('A file with your texts').setInputFiles(file)
    await page.getByLabel(/ever spend/).fill(change.epsilon ?? '4')
    await page.getByLabel(/Fewest people/).fill(change.cohort ?? '2')
    if (await page.getByLabel(/one-time token/).isVisible()) await page.getByLabel(/one-time token/).fill(token)
    await page.getByLabel(/^I agree/).check()
    await page.getByRole('button', { name: 'Take part' }).click()
  }

  it('embeds as Node does: the nearest candidates of 128 texts', async () => {
    const texts = (await debianRows()).slice(0, 128).map(({ text }) => text)
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
})
