// The same code in a page: no import of Node, and a vote sharded in Chromium is verified here.
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { multihotVdaf } from '../../src/vdaf/index.ts'

const CHROMIUM = process.env.PRETEXT_CHROMIUM ?? '/usr/bin/chromium'
const options = { length: 64, maxWeight: 4 }

describe('in a browser', () => {
  let bundle = ''
  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [resolve(import.meta.dirname, '../../src/vdaf/index.ts')],
      bundle: true,
      minify: true,
      // An import of a Node module is an error on this platform.
      platform: 'browser',
      format: 'iife',
      globalName: 'vdaf',
      write: false,
    })
    bundle = outputFiles[0]?.text ?? ''
  })

  it('bundles without Node, in 16 kB gzipped', () => {
    expect(bundle).not.toMatch(/node:|require\(/)
    expect(gzipSync(bundle).length).toBeLessThan(16_000)
  })

  it.skipIf(!existsSync(CHROMIUM))(
    `a vote sharded in Chromium is counted (${existsSync(CHROMIUM) ? 'found' : 'no Chromium: set PRETEXT_CHROMIUM'})`,
    async () => {
      const browser = await chromium.launch({
        executablePath: CHROMIUM,
        args: ['--no-sandbox'],
        timeout: 150_000,
      })
      try {
        const page = await browser.newPage()
        await page.addScriptTag({ content: bundle })
        const nonce = crypto.getRandomValues(new Uint8Array(16))
        const sharded = (await page.evaluate(
          `(() => {
            const bits = new Array(64).fill(0)
            bits[3] = bits[60] = 1
            const { publicShare, inputShares } = vdaf.multihotVdaf(${JSON.stringify(options)}).shard(bits, {
              context: new TextEncoder().encode('page'),
              nonce: Uint8Array.from(${JSON.stringify([...nonce])}),
            })
            return [publicShare, ...inputShares].map((part) => [...part])
          })()`,
        )) as number[][]
        const [publicShare = nonce, ...inputShares] = sharded.map((part) => Uint8Array.from(part))
        const vdaf = multihotVdaf(options)
        const context = new TextEncoder().encode('page')
        const verifyKey = crypto.getRandomValues(new Uint8Array(32))
        const both = inputShares.map((inputShare, aggregator) =>
          vdaf.verifyInit({ verifyKey, context, nonce, publicShare, inputShare, aggregator }),
        )
        const message = vdaf.verifierSharesToMessage(
          context,
          both.map((one) => one.verifierShare),
        )
        const sums = vdaf.unshard(
          both.map((one) => vdaf.verifyNext(one.state, message)),
          1,
        )
        expect(sums.flatMap((sum, i) => (sum === 1 ? [i] : []))).toEqual([3, 60])
      } finally {
        await browser.close()
      }
    },
  )
})
