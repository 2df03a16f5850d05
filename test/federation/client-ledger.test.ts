// The ledger of a client in Node and in a browser: one contract, the same records, and "pretext ledger" reads both.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStateFolder } from '../../src/federation/client/state-folder.ts'
import { chargesIn, readLedger, spentEpsilon } from '../../src/privacy/ledger.ts'
import { CHROMIUM, FLAGS, findChromium } from './chromium.ts'
import { CONTRACT, type OpenLedger, POLICY } from './ledger-contract.ts'

const temporary = () => mkdtemp(join(tmpdir(), 'client-ledger-'))

/** What `pretext ledger show` makes of a client's ledger. */
async function shown(file: string) {
  const entries = await readLedger(file)
  return {
    against: chargesIn(entries).map(({ against }) => against ?? 'all'),
    outsiders: spentEpsilon(entries, 1e-5, 'outsiders').toFixed(6),
    operators: spentEpsilon(entries, 1e-5, 'operators').toFixed(6),
  }
}

const SHOWN = { against: ['all', 'operators'], outsiders: '0.791275', operators: '1.047054' }

describe('in a folder of Node', () => {
  it.each(Object.keys(CONTRACT))('%s', async (name) => {
    const folder = await temporary()
    const open: OpenLedger = async (ledgerName, policy) => {
      const { ledger, ledgerFile, release } = await openStateFolder(join(folder, ledgerName), policy)
      const read = (file: string) => readFile(file, 'utf8').catch(() => '')
      return {
        ledger,
        files: async () => ({ text: await read(ledgerFile), head: await read(`${ledgerFile}.head`) }),
        async spoil(change) {
          const [first = '', ...others] = (await read(ledgerFile)).split('\n')
          await writeFile(ledgerFile, [change(first), ...others].join('\n'))
        },
        close: release,
      }
    }
    const { run, expected } = CONTRACT[name] as (typeof CONTRACT)[string]
    expect(await run(open)).toEqual(expected)
  })

  it('is read by "pretext ledger", each charge against whom it was made', async () => {
    const { ledger, ledgerFile, release } = await openStateFolder(await temporary(), POLICY)
    await ledger.charge('t', 'r/round-1', { type: 'gaussian', noiseMultiplier: 8 })
    await ledger.charge('t', 'r/round-2', { type: 'gaussian', noiseMultiplier: 4 }, 'operators')
    expect(await shown(ledgerFile)).toEqual(SHOWN)
    await release()
  })
})

const found = findChromium()

describe.skipIf(!found)(
  `in a browser (${found ? 'Chromium found' : 'skipped: no Chromium, set PRETEXT_CHROMIUM'})`,
  () => {
    let browser: Browser
    let server: Server
    let page: Page

    beforeAll(async () => {
      const { outputFiles } = await build({
        entryPoints: [join(import.meta.dirname, 'ledger-contract-page.js')],
        bundle: true,
        platform: 'browser',
        format: 'esm',
        write: false,
        logLevel: 'warning',
      })
      const code = outputFiles[0]?.text ?? ''
      server = createServer(({ url }, answer) => {
        answer.setHeader('content-type', url === '/contract.js' ? 'text/javascript' : 'text/html')
        answer.end(
          url === '/contract.js'
            ? code
            : '<!doctype html><title>ledger</title><script type="module" src="/contract.js"></script>',
        )
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS })
      page = await browser.newPage()
      await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
      await page.waitForFunction('globalThis.contract !== undefined')
    })
    afterAll(async () => {
      await browser?.close()
      server?.close()
    })

    it.each(Object.keys(CONTRACT))('%s', async (name) => {
      const { expected } = CONTRACT[name] as (typeof CONTRACT)[string]
      expect(await page.evaluate(`contract(${JSON.stringify(name)})`)).toEqual(expected)
    })

    it('is read by "pretext ledger", each charge against whom it was made', async () => {
      const { text, head } = (await page.evaluate(`charged('shown')`)) as { text: string; head: string }
      const file = join(await temporary(), 'browser.jsonl')
      await writeFile(file, text)
      await writeFile(`${file}.head`, head)
      expect(await shown(file)).toEqual(SHOWN)
    })

    it('keeps what was spent before it was one of these', async () => {
      const gaussian = (noiseMultiplier: number) => ({ type: 'gaussian', noiseMultiplier })
      expect(await page.evaluate('old()')).toEqual([
        'kept',
        [gaussian(10), gaussian(20)],
        'expected a policy to charge a release under, got none',
        ['b 1970', 'a 1970', `c ${new Date().getUTCFullYear()}`],
      ])
    })
  },
)
