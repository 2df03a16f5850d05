// Consented texts come from other clients; and the kind that is asked for is the type that comes.
import { describe, expect, expectTypeOf, it } from 'vitest'
import { requireDisjoint } from '../../src/texts/disjoint.ts'
import { ConsentedTexts, PrivateTexts, SimulationTexts } from '../../src/texts/private-texts.ts'
import { readTexts } from '../../src/texts/read.ts'
import { newFolder, writeBytes } from './write.ts'

const file = async (rows: readonly [string, string][]): Promise<string> =>
  writeBytes(
    await newFolder(),
    'a.jsonl',
    rows.map(([client, text]) => JSON.stringify({ client, text })).join('\n'),
  )
const columns = { text: 'text', client: 'client' }
const own = await file([
  ['a', 'one text'],
  ['b', 'two texts'],
])

describe('requireDisjoint', () => {
  it('refuses a client in both by its id, and a text in both where there are no ids', async () => {
    const same = await file([['b ', 'other']])
    const sameText = await file([['z', 'two texts']])
    const by = async (path: string, unit: 'client' | 'record'): Promise<void> =>
      requireDisjoint(
        await readTexts({ path: own, columns, unit, kind: 'private' }),
        await readTexts({ path, columns, unit, kind: 'consented' }),
      )
    await expect(by(same, 'client')).rejects.toThrow(
      'expected the consented clients to be others than those of the data set, got some that are in both',
    )
    await expect(by(sameText, 'record')).rejects.toThrow(
      'expected the consented texts to be others than those of the data set, got some that are in both',
    )
    await by(sameText, 'client')
    await by(same, 'record')
  })
})

describe('readTexts', () => {
  it('gives the type of the kind', async () => {
    const options = { path: own, columns, unit: 'client' } as const
    const hidden = await readTexts({ ...options, kind: 'private' })
    const consented = await readTexts({ ...options, kind: 'consented' })
    const simulation = await readTexts({ ...options, kind: 'simulation' })
    expectTypeOf(hidden.texts).toEqualTypeOf<PrivateTexts>()
    expectTypeOf(consented.texts).toEqualTypeOf<ConsentedTexts>()
    expectTypeOf(simulation.texts).toEqualTypeOf<SimulationTexts>()
    expectTypeOf<PrivateTexts>().not.toExtend<SimulationTexts>()
    expectTypeOf<PrivateTexts>().not.toExtend<ConsentedTexts>()
    expect(hidden.texts).toBeInstanceOf(PrivateTexts)
    expect(consented.texts).toBeInstanceOf(ConsentedTexts)
    expect(simulation.texts).toBeInstanceOf(SimulationTexts)
  })

  it('stops when asked to', async () => {
    const options = { path: own, columns, unit: 'client', kind: 'private' } as const
    await expect(readTexts({ ...options, signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow(
      'stop',
    )
  })
})
