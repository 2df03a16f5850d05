// The committed WASM is what its sources say, and it is small enough to start at once in a page.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KERNELS, kernelModule } from '../../src/vdaf/kernel/build.mjs'

describe('the kernels', () => {
  it.each(KERNELS)('%s.wasm.ts is fresh: npm run kernel', async (name) => {
    const committed = readFileSync(
      resolve(import.meta.dirname, `../../src/vdaf/kernel/${name}.wasm.ts`),
      'utf8',
    )
    expect(committed).toBe(await kernelModule(name))
    // Older browsers compile at most 4 kB synchronously on the main thread.
    expect(
      Buffer.from(
        committed
          .match(/'[^']+'/g)
          ?.join('')
          .replaceAll("'", '') ?? '',
        'base64',
      ).length,
    ).toBeLessThan(4096)
  })
})
