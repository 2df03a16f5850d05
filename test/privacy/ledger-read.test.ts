// Who reads a ledger takes no lock: other processes pay for their releases between its looks at the two files.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { charge, readLedger } from '../../src/privacy/ledger.ts'

/** What others do behind the next reads of a file, one after the other. */
const others: (() => Promise<unknown>)[] = []

vi.mock('../../src/durable.ts', async (original) => {
  const durable = await original<typeof import('../../src/durable.ts')>()
  return {
    ...durable,
    readIfThere: async (path: string) => {
      const text = await durable.readIfThere(path)
      await others.shift()?.()
      return text
    },
  }
})

it.each([
  ['before the ledger was read', [1, 0, 0]],
  ['after it', [0, 1, 0]],
  ['at every look, for a while', [2, 3, 1, 1, 2, 1]],
])('a ledger is whole for who reads it while others write: %s', async (_, moments) => {
  const path = join(await mkdtemp(join(tmpdir(), 'ledger-')), 'people.jsonl')
  let count = 0
  const pay = async () => {
    count += 1
    // Its own reads are undisturbed.
    const later = others.splice(0)
    await charge(
      path,
      { dataset: 'people', unit: 'client', adjacency: 'add-remove' },
      {
        run: 'run-1',
        release: `round-${count}`,
        mechanism: { type: 'gaussian', noiseMultiplier: 2.31 },
      },
    )
    others.push(...later)
  }
  await pay()
  others.push(
    ...moments.map((payments) => async () => {
      for (let i = 0; i < payments; i++) await pay()
    }),
  )
  const entries = await readLedger(path)
  expect(others).toHaveLength(0)
  expect(entries.map(({ number }) => number)).toEqual(Array.from({ length: count }, (__, i) => i + 1))
})
