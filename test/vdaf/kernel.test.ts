// The committed WASM is what its sources say, and it is small enough to start at once in a page.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KERNELS, kernelModule, kernelText } from '../../src/vdaf/kernel/build.mjs'

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

  it.each(KERNELS)(
    '%s branches on lengths alone: once in each loop, and on the padding of wires',
    async (name) => {
      const functions = (await kernelText(name)).split(/\n \(func /).slice(1)
      expect(functions.length).toBeGreaterThan(10)
      const count = (code: string, pattern: RegExp) => code.match(pattern)?.length ?? 0
      for (const code of functions) {
        expect(count(code, /^ *if/gm)).toBe(count(code, /^ *loop /gm))
        expect(code).not.toMatch(/br_if|br_table|call_indirect|i64\.(div|rem)/)
        expect(count(code, /^ *select/gm)).toBe(code.startsWith('$vectors/wires') ? 1 : 0)
      }
      const multiply = functions.find((code) => code.startsWith('$field/mul'))
      expect(multiply).toContain('i64.mul')
      expect(multiply).not.toMatch(/^ *(if|loop)/m)
    },
  )
})
