// Columns against the plain way of grouping: whatever the order of rows, each client has its texts in file order.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { columnsBuilder, columnsOf } from '../../src/texts/columns.ts'
import { SimulationTexts } from '../../src/texts/private-texts.ts'

describe('columnsBuilder', () => {
  it('groups rows in any order as a map of lists does', () => {
    const row = fc.record({
      client: fc.nat(6),
      text: fc.string({ unit: 'binary', maxLength: 8 }),
      label: fc.nat(65_534),
    })
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), (rows) => {
        const builder = columnsBuilder()
        for (const { text, client, label } of rows) builder.add(text, client, label)
        const texts = new SimulationTexts(builder.finish(7))
        expect(texts.texts).toBe(rows.length)
        expect(texts.clients).toBe(7)
        for (let client = 0; client < 7; client++) {
          const own = rows.filter((r) => r.client === client)
          expect(texts.read(client)).toEqual({
            texts: own.map((r) => r.text),
            labels: own.map((r) => r.label),
          })
          expect(texts.textsOf(client)).toBe(own.length)
        }
      }),
    )
  })

  it('grows past its first buffer and arrays, in order and scattered', () => {
    const text = (i: number): string => `${i} ${'é'.repeat(700)}`
    for (const clientOf of [(i: number) => Math.floor(i / 2), (i: number) => i % 1500]) {
      const builder = columnsBuilder()
      for (let i = 0; i < 3000; i++) builder.add(text(i), clientOf(i), 0)
      const texts = new SimulationTexts(builder.finish(1500))
      const own = Array.from({ length: 3000 }, (_, i) => i).filter((i) => clientOf(i) === 1234)
      expect(texts.read(1234).texts).toEqual(own.map(text))
      expect(texts.read(1234, [1]).texts).toEqual([text(own[1] as number)])
    }
  })

  it('keeps a leading byte order mark, and replaces half a surrogate pair', () => {
    const texts = new SimulationTexts(columnsOf([{ texts: ['\ufeffx', 'a\ud800'], labels: [3, 4] }]))
    expect(texts.read(0)).toEqual({ texts: ['\ufeffx', 'a\ufffd'], labels: [3, 4] })
  })
})
