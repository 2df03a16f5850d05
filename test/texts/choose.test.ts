// Which texts a client uses: at most so many, all equally likely, another choice each time.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseTexts } from '../../src/texts/choose.ts'

describe('chooseTexts', () => {
  it('gives different positions within range, as many as allowed', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.integer({ min: 1, max: 50 }), (count, max) => {
        const chosen = chooseTexts(count, max)
        expect(chosen).toHaveLength(Math.min(count, max))
        expect(new Set(chosen).size).toBe(chosen.length)
        for (const i of chosen) expect(i >= 0 && i < count).toBe(true)
      }),
    )
  })

  it('reaches every ordered choice by exactly one sequence of draws, so unbiased draws give an unbiased choice', () => {
    const seen = new Set<string>()
    for (let first = 0; first < 5; first++)
      for (let second = 0; second < 4; second++) {
        const draws = [first, second]
        const bounds: number[] = []
        const chosen = chooseTexts(5, 2, (bound) => {
          bounds.push(bound)
          return draws[bounds.length - 1] as number
        })
        expect(bounds).toEqual([5, 4])
        seen.add(chosen.join())
      }
    expect(seen.size).toBe(20)
  })

  it('chooses anew each time', () => {
    // Two equal choices of 20 out of 10,000 have probability below 1e-50.
    expect(chooseTexts(10_000, 20)).not.toEqual(chooseTexts(10_000, 20))
  })

  it('takes no draw where all texts are used', () => {
    const never = (): number => expect.fail('drew')
    expect(chooseTexts(3, 3, never)).toEqual([0, 1, 2])
    expect(chooseTexts(0, 3, never)).toEqual([])
  })

  it('refuses nonsense', () => {
    expect(() => chooseTexts(5, 0)).toThrow('expected maxTextsPerClient to be an integer from 1 up, got 0')
    expect(() => chooseTexts(-1, 2)).toThrow(
      'expected the number of texts to be an integer from 0 up, got -1',
    )
  })
})
