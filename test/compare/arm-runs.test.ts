// The runs of an arm over a real ground: what a choice may be made on, what figures are of, and what a part depends on. The arm
// and the evaluator are scripted, so that nothing is trained.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { type ArmAnswer, defineArm } from '../../src/compare/arm.ts'
import { type ArmRuns, corpusOf, runArm } from '../../src/compare/arm-runs.ts'
import { loadCompare } from '../../src/compare/config.ts'
import { type Ground, onGround } from '../../src/compare/ground.ts'
import { NO_METERS } from '../../src/compare/meters.ts'
import { pointsOf } from '../../src/compare/points.ts'
import type { ModelSums } from '../../src/evaluate/next-token.ts'
import { workspace } from '../run/workspace.ts'

interface Place {
  readonly folder: string
  readonly file: string
  readonly weights: string
}

/** Data of a simulation, a start, and the file of a comparison over them. */
async function place(change: Record<string, unknown> = {}): Promise<Place> {
  const { folder } = await workspace((config) => {
    config.data.simulation = true
  })
  const start = join(folder, 'start')
  await mkdir(start)
  await writeFile(join(start, 'config.json'), '{}')
  await writeFile(join(start, 'model.safetensors'), 'the weights')
  const file = join(folder, 'compare.yaml')
  const content = { name: 'test', base: 'config.yaml', epsilons: [8], validationShare: 0.25, ...change }
  const more = { start: { from: './start' }, arms: { scripted: null }, output: { folder: 'compared' } }
  await writeFile(file, stringify({ ...content, ...more }))
  return { folder, file, weights: join(start, 'model.safetensors') }
}

/** Two evaluation clients; "a" and "b" are models. */
const SUMS: Record<string, number[]> = { a: [10, 20], b: [30, 50] }

function sumsOf(model: string): ModelSums {
  const clients = (SUMS[model] as number[]).map((crossEntropy) => {
    const right = crossEntropy / 10
    return { tokens: 9, crossEntropy, correct: [right, right, right, 9], bytes: 40 }
  })
  return { clients, texts: 2, cut: 0, vocabulary: 100, parameters: 7, device: 'cpu' }
}

interface Seen {
  readonly seed: number
  readonly corpus: number
}

function scripted(seen: Seen[], of: Partial<ArmAnswer> = {}) {
  return defineArm({
    name: 'scripted',
    about: 'a test',
    guarantee: 'none',
    epsilons: 'each',
    onCorpora: true,
    settings: z.strictObject({ rate: z.number().default(1) }),
    grid: { rate: [1, 2, 3] },
    async run({ inputs, corpus }, { rate }) {
      seen.push({ seed: inputs.seed, corpus })
      const validation = { loss: rate, accuracy: 0, tokens: 1 }
      return { model: 'a', mechanisms: [], meters: NO_METERS, validation, measures: {}, ...of }
    },
  })
}

async function runs({ file }: Place, trials: number, arm: ReturnType<typeof scripted>): Promise<ArmRuns> {
  const config = await loadCompare(file, [arm])
  const evaluate: Ground['evaluate'] = async (model, both) => ({
    validation: sumsOf(model),
    evaluation: both ? sumsOf(model) : null,
  })
  const [only] = await onGround(config, { python: 'none' }, (ground) =>
    runArm({ ...ground, evaluate }, arm, pointsOf(arm, undefined, trials, file)),
  )
  return only as ArmRuns
}

describe('a trial', () => {
  it.each(['each', 2] as const)(
    'sees no seed and no corpus of what is reported (corpora: %s)',
    async (corpora) => {
      const seen: Seen[] = []
      const at = await place({ seeds: [3, 5, 4], corpora })
      const { trials, settings, failed } = await runs(at, 3, scripted(seen))
      expect(failed).toBeNull()
      expect(trials).toHaveLength(3)
      expect(settings).toEqual({ rate: 1 })
      const reported = [3, 5, 4].map((seed) => ({
        seed,
        corpus: corpusOf({ seeds: [3, 5, 4], corpora }, seed),
      }))
      expect(seen.slice(3)).toEqual(reported)
      const tried = seen.slice(0, 3)
      // All settings on one corpus, which is made for them alone.
      expect(new Set(tried.map(({ corpus }) => corpus)).size).toBe(1)
      for (const { seed, corpus } of tried) {
        expect(reported.map((run) => run.seed)).not.toContain(seed)
        expect(reported.map((run) => run.corpus)).not.toContain(corpus)
      }
    },
  )
})

describe('the figures of a run', () => {
  it('are of its model', async () => {
    const { runs: own } = await runs(await place({ seeds: [0] }), 1, scripted([]))
    expect(own[0]?.sums).toEqual(sumsOf('a'))
  })

  it('are the mean over the models of clients, for each evaluation client, where there is no single one', async () => {
    const arm = scripted([], { model: null, models: ['a', 'b'] })
    const { runs: own } = await runs(await place({ seeds: [0] }), 1, arm)
    expect(own[0]?.sums?.clients).toEqual([
      { tokens: 9, crossEntropy: 20, correct: [2, 2, 2, 9], bytes: 40 },
      { tokens: 9, crossEntropy: 35, correct: [3.5, 3.5, 3.5, 9], bytes: 40 },
    ])
    // Where they lay is nobody's business.
    expect(own[0]?.result).not.toHaveProperty('models')
  })

  it('are missing where an arm leaves no model at all', async () => {
    const { runs: own } = await runs(await place({ seeds: [0] }), 1, scripted([], { model: null }))
    expect(own[0]?.sums).toBeNull()
  })
})

describe('a part that was done', () => {
  it('is found again, and refused where the start holds other weights', async () => {
    const seen: Seen[] = []
    const at = await place({ seeds: [0] })
    await runs(at, 1, scripted(seen))
    const { runs: again } = await runs(at, 1, scripted(seen))
    expect(seen).toHaveLength(1)
    expect(again).toHaveLength(1)
    await writeFile(at.weights, 'a later training')
    const { runs: none, failed } = await runs(at, 1, scripted(seen))
    expect(none).toEqual([])
    expect(failed?.message).toContain('this part was done with other settings than the comparison has now')
  })

  it('is refused where the evaluation clients wrote something else, as many as they are', async () => {
    const at = await place({ seeds: [0] })
    await runs(at, 1, scripted([]))
    const consented = join(at.folder, 'consented.jsonl')
    const text = await readFile(consented, 'utf8')
    await writeFile(consented, text.replace('The ', 'Any '))
    await expect(runs(at, 1, scripted([]))).rejects.toThrow(
      'this comparison was begun with other clients, validation clients or evaluation texts than there are now',
    )
  })
})
