// pretext/client in a browser: small, and without anything of Node. The same entry works in Node as a package.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ed25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clientBundle } from '../../bench/client-bundle.ts'
import { clientIdentity } from '../../src/federation/client/identity.ts'

const ROOT = resolve(import.meta.dirname, '../..')

describe('the browser entry', () => {
  it('is at most 60 kB gzipped without the embedder’s library, and reaches no module of Node', async () => {
    const { bytes, gzipped, parts, twoServer, ...first } = await clientBundle()
    console.info(`pretext/client in a browser: ${bytes} bytes, ${gzipped} gzipped`)
    console.info(`for a round of two servers: ${twoServer.bytes} more, ${twoServer.gzipped} gzipped`)
    expect(gzipped).toBeLessThanOrEqual(60_000)
    // Neither the proofs nor HPKE are loaded before a round asks for them.
    expect(parts.filter(({ path }) => /vdaf|hpke|sha3/.test(path))).toEqual([])
    expect(twoServer.parts.map(({ path }) => path)).toContain('src/vdaf/shard.ts')
    const code = `${first.code}\n${twoServer.code}`
    expect(code).not.toMatch(/from\s*["']node:|import\(["']node:|require\(["']/)
    expect(code).not.toMatch(/\bprocess\.|\bBuffer\b|\b__dirname\b/)
    // Nothing but the library of the embedder is left to be loaded.
    const imported = [...code.matchAll(/(?:from|import)\s*\(?["']([^"']+)["']/g)].map((match) => match[1])
    const elsewhere = imported.filter((name) => name?.startsWith('./') !== true)
    // HPKE's library asks for Node's `crypto` where there is no Web Crypto; a page without it does not seal (shares.ts).
    expect([...new Set(elsewhere)].sort()).toEqual(['@huggingface/transformers', 'crypto'])
    const rooms = [...parts, ...twoServer.parts]
      .map(({ path }) => path)
      .filter((path) => path.startsWith('src/federation/'))
    expect(rooms.filter((path) => !/\/(client|protocol|clock\.ts)/.test(path))).toEqual([])
  })

  it('is what the package gives to a browser, and node.ts what it gives to Node', () => {
    const { exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      exports: Record<string, unknown>
    }
    expect(exports['./client']).toEqual({
      browser: {
        types: './dist/federation/client/browser.d.ts',
        default: './dist/federation/client/browser.js',
      },
      types: './dist/federation/client/node.d.ts',
      default: './dist/federation/client/node.js',
    })
  })

  it('in Node has the same core, with folders, files and the model store', async () => {
    const node = await import('../../src/federation/client/node.ts')
    expect(Object.keys(node).sort()).toEqual([
      'PROTOCOL',
      'PretextError',
      'TaskSchema',
      'checksOf',
      'clientIdentity',
      'createEmbedder',
      'createFederatedClient',
      'manifestHash',
      'openStateFolder',
      'parseManifest',
      'readOwnTexts',
      'systemClock',
    ])
  })
})

describe('an identity', () => {
  it('signs the same bytes by Web Crypto and by JavaScript, and both are Ed25519', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ maxLength: 200 }),
        async (secret, message) => {
          const web = await clientIdentity(secret)
          const script = await clientIdentity(secret, null)
          expect(web.client).toBe(script.client)
          expect([...web.publicKey]).toEqual([...ed25519.getPublicKey(secret)])
          const [a, b] = [await web.sign(message), await script.sign(message)]
          expect([...a]).toEqual([...b])
          expect(ed25519.verify(a, message, web.publicKey)).toBe(true)
        },
      ),
      { numRuns: 50 },
    )
  })

  it('falls back to JavaScript where Web Crypto has no Ed25519', async () => {
    const none = { importKey: () => Promise.reject(new Error('NotSupportedError')) }
    const secret = new Uint8Array(32).fill(7)
    const identity = await clientIdentity(secret, none as unknown as typeof crypto.subtle)
    expect([...identity.publicKey]).toEqual([...ed25519.getPublicKey(secret)])
    expect(ed25519.verify(await identity.sign(secret), secret, identity.publicKey)).toBe(true)
  })
})
