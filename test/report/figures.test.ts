// Promises of the numbers: a privacy figure is never shown better than it is.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decimal,
  deltaText,
  dollarsText,
  duration,
  epsilonText,
  exactDuration,
  noiseText,
  percent,
  timeText,
} from '../../src/report/figures.ts'
import { niceScale, thinned } from '../../src/report/scale.ts'

const positive = fc.double({ min: 1e-6, max: 1e6, noNaN: true })

describe('privacy figures', () => {
  it('an epsilon is never shown smaller than it is, and at most 1% larger', () => {
    fc.assert(
      fc.property(positive, (epsilon) => {
        const shown = Number(epsilonText(epsilon))
        return shown >= epsilon && shown <= epsilon * 1.0101
      }),
      { numRuns: 2000 },
    )
  })

  it('a noise multiplier is never shown larger than it is, and at most 0.1% smaller', () => {
    fc.assert(
      fc.property(positive, (noise) => {
        const shown = Number(noiseText(noise))
        return shown <= noise && shown >= noise * 0.99899
      }),
      { numRuns: 2000 },
    )
  })

  it('round figures stay as they are', () => {
    expect(['1', '0.5', '1.29', '10', '250'].map((text) => epsilonText(Number(text)))).toEqual([
      '1',
      '0.5',
      '1.29',
      '10',
      '250',
    ])
    expect(epsilonText(1.2801)).toBe('1.29')
    expect(epsilonText(1234)).toBe('1240')
    expect(epsilonText(0)).toBe('0')
    expect(epsilonText(Infinity)).toBe('∞')
    expect(noiseText(5.24319)).toBe('5.243')
    expect(noiseText(0)).toBe('0')
  })

  it('a delta is exact', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-12, max: 0.5, noNaN: true }),
        (delta) => Number(deltaText(delta)) === delta,
      ),
    )
    expect(deltaText(1e-5)).toBe('1e-5')
  })
})

describe('other figures', () => {
  it('read as people write them', () => {
    expect([decimal(0.5004), decimal(-0.0001), decimal(12, 0), decimal(100, 0)]).toEqual([
      '0.5',
      '0',
      '12',
      '100',
    ])
    expect([percent(0.283), percent(0.051), percent(0), percent(1)]).toEqual(['28%', '5.1%', '0%', '100%'])
    expect([59.4, 59.6, 179.7, 3599.7, 7199].map(exactDuration)).toEqual([
      '59 s',
      '1 min 0 s',
      '3 min 0 s',
      '1 h 0 min',
      '2 h 0 min',
    ])
    expect([duration(4.25), duration(59), duration(1308), duration(7500)]).toEqual([
      '4.3 s',
      '59 s',
      '22 min',
      '2 h 5 min',
    ])
    expect([dollarsText(0), dollarsText(0.004), dollarsText(12.345)]).toEqual([
      '$0.00',
      'less than $0.01',
      '$12.35',
    ])
    expect([timeText('2026-11-22T11:02:55.000Z'), timeText('soon')]).toEqual(['2026-11-22 11:02 UTC', 'soon'])
  })
})

describe('axes', () => {
  it('ticks are even, in order, few, and cover the values', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 }),
        fc.boolean(),
        (values, zero) => {
          const { low, high, ticks } = niceScale(values, { zero })
          const size = Math.max(Math.abs(low), Math.abs(high))
          expect(low).toBeLessThanOrEqual(Math.min(...values) + 1e-9 * size)
          expect(high).toBeGreaterThanOrEqual(Math.max(...values) - 1e-9 * size)
          if (zero) expect(ticks).toContain(0)
          expect(ticks.length).toBeGreaterThanOrEqual(2)
          expect(ticks.length).toBeLessThanOrEqual(8)
        },
      ),
    )
  })

  it('no values, one value, or values that are not numbers still give an axis', () => {
    expect(niceScale([]).ticks.length).toBeGreaterThan(1)
    expect(niceScale([Infinity, Number.NaN]).ticks.length).toBeGreaterThan(1)
    expect(niceScale([0.37]).low).toBeGreaterThanOrEqual(0)
  })

  it('labels are thinned to steps of 1, 2, 5, 10', () => {
    expect(thinned(5, 8)).toEqual([0, 1, 2, 3, 4])
    expect(thinned(10, 8)).toEqual([0, 2, 4, 6, 8])
    expect(thinned(201, 8)).toEqual([0, 50, 100, 150, 200])
    expect(thinned(0, 8)).toEqual([])
  })
})
