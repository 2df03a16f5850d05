// Mask and fill: the algorithm on models of a few lines, then the real loading code on a model of a few kB
// (test/golden/tiny-model.py) whose logits at a mask are 10 for "river", 9 for "stone", 8 for "[SEP]" and 0 for the rest.
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadMaskedLm } from '../../src/evolution/variation/load-masked-lm.ts'
import {
  drawToken,
  type MaskedLanguageModel,
  maskedPositions,
  maskFill,
} from '../../src/evolution/variation/mask-fill.ts'
import { seededRandom } from '../../src/random.ts'

const MASK = 3
const special = new Set([0, 1, 2, MASK])

/** Tokens are numbers in the text between 1 and 2; a mask is filled with the `wish` for the sequence it is in. */
function numberModel(wish: (sequence: readonly number[], position: number) => number) {
  const seen: { sequence: number[]; position: number }[] = []
  const model: MaskedLanguageModel = {
    id: 'numbers',
    maxTokens: 64,
    maskToken: MASK,
    specialTokens: special,
    encode: (text, maxTokens) => [
      1,
      ...text
        .split(' ')
        .filter(Boolean)
        .map(Number)
        .slice(0, maxTokens - 2),
      2,
    ],
    decode: (tokens) => tokens.slice(1, -1).join(' '),
    logitsAt: async (sequences, positions) =>
      sequences.map((sequence, i) => {
        const position = positions[i] as number
        seen.push({ sequence: [...sequence], position })
        return new Float32Array(200)
          .fill(-100)
          .fill(100, wish(sequence, position), wish(sequence, position) + 1)
      }),
    dispose: async () => {},
  }
  return { model, seen }
}

const tens = (count: number) => Array.from({ length: count }, (_, i) => 10 + i).join(' ')

describe('mask and fill', () => {
  it('changes the stated share of each text, and leaves every other token where it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 5 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        fc.integer(),
        async (lengths, share, seed) => {
          const { model } = numberModel(() => 150)
          const texts = lengths.map(tens)
          const options = { share, steps: 1, maxTokens: 64 }
          const varied = await maskFill(model, texts, options, seededRandom(seed))
          for (const [i, text] of varied.entries()) {
            const after = text.split(' ').filter(Boolean).map(Number)
            const length = lengths[i] as number
            expect(after).toHaveLength(length)
            const changed = after.filter((token) => token === 150).length
            expect(changed).toBe(length === 0 ? 0 : Math.max(1, Math.round(share * length)))
            after.forEach((token, at) => {
              if (token !== 150) expect(token).toBe(10 + at)
            })
          }
        },
      ),
      { numRuns: 60 },
    )
  })

  it('fills one mask at a time, with those before filled and those after still hidden', async () => {
    const { model, seen } = numberModel((sequence) => 100 + sequence.filter((token) => token === MASK).length)
    const [text] = await maskFill(model, [tens(10)], { share: 0.5, steps: 1 }, seededRandom(1))
    expect(seen.map(({ sequence }) => sequence.filter((token) => token === MASK).length)).toEqual([
      5, 4, 3, 2, 1,
    ])
    for (const { sequence, position } of seen) expect(sequence[position]).toBe(MASK)
    const positions = seen.map(({ position }) => position)
    expect(new Set(positions).size).toBe(5)
    // In random order, and not from left to right.
    expect(positions).not.toEqual([...positions].sort((a, b) => a - b))
    const filled = (text as string)
      .split(' ')
      .map(Number)
      .filter((token) => token >= 100)
    expect(filled.sort()).toEqual([101, 102, 103, 104, 105])
  })

  it('hides anew in each step', async () => {
    const { model, seen } = numberModel(() => 150)
    await maskFill(model, [tens(10)], { share: 0.3, steps: 4 }, seededRandom(2))
    expect(seen).toHaveLength(12)
    const steps = [0, 1, 2, 3].map((step) =>
      seen.slice(3 * step, 3 * step + 3).map(({ position }) => position),
    )
    expect(new Set(steps.map(String)).size).toBeGreaterThan(1)
  })

  it('gives a text the same variation in every batch size, and another for another seed', async () => {
    const wish = (sequence: readonly number[], position: number) =>
      100 + ((sequence.reduce((a, b) => a + b, 0) + position) % 90)
    const texts = [tens(5), tens(30), '', tens(1), tens(12)]
    const vary = (batchSize: number, seed: number) =>
      maskFill(numberModel(wish).model, texts, { batchSize }, seededRandom(seed))
    const once = await vary(5, 1)
    expect(await vary(1, 1)).toEqual(once)
    expect(await vary(2, 1)).toEqual(once)
    expect(await vary(5, 2)).not.toEqual(once)
  })

  it('takes every position equally often', () => {
    const random = seededRandom(3)
    const counts = new Array(12).fill(0)
    for (let i = 0; i < 6_000; i++) {
      for (const position of maskedPositions(
        [1, ...new Array(10).fill(50), 2],
        { specialTokens: special },
        0.3,
        random,
      )) {
        counts[position]++
      }
    }
    expect([counts[0], counts[11]]).toEqual([0, 0])
    // 1,800 expected at each, standard deviation 35.5; 5 of them, false alarm 6e-6 over ten positions.
    for (const count of counts.slice(1, 11)) expect(Math.abs(count - 1_800)).toBeLessThan(178)
  })

  it('draws tokens with the probabilities of the softmax, tempered and cut', () => {
    const logits = Float32Array.from([9, 9, 9, 9, Math.log(5), Math.log(3), Math.log(2)])
    const shares = (temperature: number, topP: number) => {
      const random = seededRandom(4)
      const counts = new Array(7).fill(0)
      for (let i = 0; i < 20_000; i++) counts[drawToken(logits, special, temperature, topP, random)]++
      return counts.map((count) => count / 20_000)
    }
    const near = (actual: number[], expected: number[]) => {
      // 5 standard deviations of a share of 20,000 draws are at most 0.018.
      for (const [i, share] of actual.entries())
        expect(Math.abs(share - (expected[i] as number))).toBeLessThan(0.018)
    }
    near(shares(1, 1), [0, 0, 0, 0, 0.5, 0.3, 0.2])
    near(shares(0.5, 1), [0, 0, 0, 0, 25 / 38, 9 / 38, 4 / 38])
    near(shares(1, 0.7), [0, 0, 0, 0, 0.625, 0.375, 0])
    expect(shares(1, 0.4)[4]).toBe(1)
    expect(shares(1, 0.4)[5]).toBe(0)
  })

  it('says which option is wrong', async () => {
    const { model } = numberModel(() => 150)
    const message = async (options: object) =>
      maskFill(model, ['10'], options, seededRandom(1)).catch(
        (error: Error) => `${error.name}: ${error.message}`,
      )
    expect(await message({ share: 0 })).toBe('RangeError: expected share to be in (0, 1], got 0')
    expect(await message({ steps: 1.5 })).toBe(
      'RangeError: expected steps to be an integer of at least 1, got 1.5',
    )
    expect(await message({ temperature: 0 })).toBe('RangeError: expected temperature to be above 0, got 0')
    expect(await message({ topP: 2 })).toBe('RangeError: expected topP to be in (0, 1], got 2')
    expect(await message({ maxTokens: 65 })).toBe(
      "RangeError: expected maxTokens to be an integer from 4 to the model's 64, got 65",
    )
  })

  it('stops on an aborted signal', async () => {
    const reason = new Error('enough')
    const { model } = numberModel(() => 150)
    const options = { signal: AbortSignal.abort(reason) }
    await expect(maskFill(model, [tens(3)], options, seededRandom(1))).rejects.toBe(reason)
  })
})

describe('a masked language model from a folder', () => {
  const folder = join(import.meta.dirname, '../golden/tiny-model')
  let model: Awaited<ReturnType<typeof loadMaskedLm>>
  beforeAll(async () => {
    model = await loadMaskedLm({ folder, dtype: 'fp32', device: 'cpu', id: 'tiny' })
  })
  afterAll(() => model.dispose())

  it('says what it is', () => {
    expect(model).toMatchObject({ id: 'tiny', maxTokens: 64, maskToken: 4, device: { name: 'cpu' } })
    expect([...model.specialTokens].sort()).toEqual([0, 1, 2, 3, 4])
  })

  it('reads and writes text', () => {
    expect(model.decode(model.encode('The cat sat on the mat', 64))).toBe('the cat sat on the mat')
    expect(model.encode('the cat sat on the mat', 5)).toEqual([2, 5, 7, 9, 3])
    expect(model.decode(model.encode('', 64))).toBe('')
  })

  it('gives the logits at the asked position of each sequence, whatever their lengths', async () => {
    const [short, long] = await model.logitsAt(
      [
        [2, 4, 3],
        [2, 5, 6, 7, 4, 8, 3],
      ],
      [1, 5],
    )
    expect(short?.indexOf(10)).toBe(model.encode('river', 64)[1])
    expect(long?.indexOf(20)).toBe(8)
  })

  it('fills a share of the text with what the model says, never with a special token', async () => {
    const text = 'the cat sat on the mat and a dog ran in rain'
    const options = { share: 0.25, steps: 1, temperature: 0.5 }
    const texts = new Array<string>(40).fill(text)
    const varied = await maskFill(model, texts, options, seededRandom(5))
    const before = text.split(' ')
    const filled = varied.flatMap((one) => {
      const after = one.split(' ')
      expect(after).toHaveLength(12)
      const changed = after.filter((word, i) => word !== before[i])
      expect(changed).toHaveLength(3)
      return changed
    })
    expect(new Set(filled)).toEqual(new Set(['river', 'stone']))
    // Logits 10 and 9 at temperature 1/2: river has 1 / (1 + e^-2) = 0.88 of 120 draws, 106 of them, deviation 3.6.
    const rivers = filled.filter((word) => word === 'river').length
    expect(Math.abs(rivers - 106)).toBeLessThan(15)
    expect(new Set(varied).size).toBeGreaterThan(20)
  })

  it('gives the same variations for the same seed', async () => {
    const texts = ['the cat sat on the mat', 'rain over the old stone bridge', 'sun']
    const vary = (seed: number) => maskFill(model, texts, { temperature: 5 }, seededRandom(seed))
    expect(await vary(6)).toEqual(await vary(6))
    expect(await vary(6)).not.toEqual(await vary(7))
  })

  it('says which file is missing', async () => {
    await expect(loadMaskedLm({ folder, dtype: 'q4', device: 'cpu', id: 'tiny' })).rejects.toMatchObject({
      code: 'dependency',
      message: `expected the file onnx/model_q4.onnx in the model folder ${folder}, found none`,
    })
  })
})
