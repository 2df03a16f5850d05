// The file of a comparison, the points of its tuning, and the split of its clients: what is refused, and with which words.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { z } from 'zod'
import { defineArm } from '../../src/compare/arm.ts'
import { best } from '../../src/compare/arm-runs.ts'
import { dpFedAvg, dpFtrl } from '../../src/compare/arms/federated.ts'
import { loadCompare } from '../../src/compare/config.ts'
import { baseConfig } from '../../src/compare/ground.ts'
import { NO_METERS } from '../../src/compare/meters.ts'
import { pointsOf } from '../../src/compare/points.ts'
import { ARMS, armOf } from '../../src/compare/registry.ts'
import { splitClients } from '../../src/compare/split.ts'
import { loadConfig } from '../../src/config/load.ts'
import { workspace } from '../run/workspace.ts'

const plain = {
  name: 'test',
  base: 'config.yaml',
  epsilons: [4],
  start: { public: 'public.jsonl' },
  arms: { pretext: null },
  output: { folder: 'out' },
}

async function fileOf(content: object): Promise<string> {
  const file = join(await mkdtemp(join(tmpdir(), 'compare-')), 'compare.yaml')
  await writeFile(file, stringify(content))
  return file
}

describe('the file of a comparison', () => {
  it('has defaults for all but what decides', async () => {
    const config = await loadCompare(await fileOf(plain))
    expect(config).toMatchObject({ seeds: [0, 1, 2, 3, 4], corpora: 'each', trials: 1, validationShare: 0.1 })
    expect(config.training).toMatchObject({ learningRate: 2e-4, batch: 256, epochs: 20 })
    expect(config.arms.pretext).toEqual({ settings: {} })
  })

  it('names every problem at its place', async () => {
    const file = await fileOf({ ...plain, epsilons: [0, 1.29], seed: 3, arms: {} })
    await expect(loadCompare(file)).rejects.toThrow(
      new RegExp(
        [
          '3 problems in the comparison:',
          ':4:5: epsilons.0: expected a number greater than 0 or .inf, got 0',
          'arms: expected at least one arm',
          'the comparison: Unrecognized key: "seed"',
        ].join('[^]*'),
      ),
    )
  })

  it('takes each seed and epsilon once, and one start', async () => {
    await expect(loadCompare(await fileOf({ ...plain, seeds: [1, 1] }))).rejects.toThrow(
      'seeds: expected each value once',
    )
    await expect(loadCompare(await fileOf({ ...plain, start: {} }))).rejects.toThrow(
      'expected either "from" (a checkpoint) or "public" (texts to make one from)',
    )
  })
})

it('an arm that is none is refused with its place, and with all other problems', async () => {
  const file = await fileOf({ ...plain, seeds: [1, 1], arms: { pretext: null, 'dp-ftlr': null } })
  await expect(loadCompare(file)).rejects.toThrow(
    /:\d+:\d+: seeds: expected each value once\n.*:\d+:\d+: arms: expected one of pretext, expand-only, .*, got "dp-ftlr"$/,
  )
})

it('a key that the base does not take is told of the file that sets it', async () => {
  const { config } = await workspace(() => {})
  const file = await fileOf({ ...plain, base: config, set: { 'evolution.round': 8 } })
  const loaded = await loadCompare(file)
  await expect(baseConfig(loaded, 1)).rejects.toThrow(`${loaded.file}: set: unknown key "evolution.round"`)
})

const arm = defineArm({
  name: 'test-arm',
  about: 'a test',
  guarantee: 'none',
  epsilons: 'once',
  settings: z.strictObject({
    rate: z.number().default(1),
    rounds: z.int().default(3),
    kind: z.enum(['a', 'b']).default('a'),
  }),
  grid: { rate: [1, 2, 3], rounds: [3, 6] },
  run: async () => ({
    model: null,
    mechanisms: [],
    meters: NO_METERS,
    validation: { loss: 1, accuracy: 0, tokens: 1 },
    measures: {},
  }),
})

it.each([3, [3], { rate: 3 }, [null]])('a grid of %j is refused in words', async (grid) => {
  const file = await fileOf({ ...plain, arms: { 'dp-fedavg': { grid } } })
  await expect(loadCompare(file)).rejects.toThrow(
    'arms.dp-fedavg.grid: expected a list of values for each setting, or a list of choices',
  )
})

describe('the steps of a client', () => {
  it.each([dpFedAvg, dpFtrl])('are those of one pass: not both steps and epochs ($name)', (own) => {
    const settings = (given: object) => () => pointsOf(own, { settings: { ...given } }, 1, 'f').points
    expect(settings({ clientEpochs: 2 })).toThrow(
      `f: arms.${own.name}.settings.clientSteps: expected null with more than one of clientEpochs: steps are those of one pass at most`,
    )
    expect(settings({ clientEpochs: 3, clientSteps: null })()).toHaveLength(1)
    expect(settings({ clientSteps: 4 })()).toHaveLength(1)
  })
})

describe('tuning', () => {
  it('gives every arm the same number of trials, drawn from its grid, and smaller grids all they have', () => {
    const { points, grid } = pointsOf(arm, undefined, 4, 'f')
    expect(grid).toBe(6)
    expect(new Set(points.map((point) => JSON.stringify(point))).size).toBe(4)
    expect(pointsOf(arm, undefined, 4, 'f').points).toEqual(points)
    expect(pointsOf(arm, undefined, 9, 'f').points).toHaveLength(6)
  })

  it('leaves one trial to the settings as they are', () => {
    expect(pointsOf(arm, { settings: { rate: 7 } }, 1, 'f').points).toEqual([
      { rate: 7, rounds: 3, kind: 'a' },
    ])
  })

  it('does not vary what was set, unless the file names values for it', () => {
    const set = pointsOf(arm, { settings: { rate: 7 } }, 9, 'f').points
    expect(set).toHaveLength(2)
    expect(set.every((point) => point.rate === 7)).toBe(true)
    expect(pointsOf(arm, { settings: { rate: 7 }, grid: { rate: [1, 2] } }, 9, 'f').points).toHaveLength(2)
  })

  it('tries a list of choices as it stands, each once, whatever else is set', () => {
    const grid = [{}, { rounds: 5 }, { rate: 2, kind: 'b' }, {}]
    expect(pointsOf(arm, { settings: { rate: 7 }, grid }, 9, 'f')).toEqual({
      grid: 3,
      points: [
        { rate: 7, rounds: 3, kind: 'a' },
        { rate: 7, rounds: 5, kind: 'a' },
        { rate: 2, rounds: 3, kind: 'b' },
      ],
    })
    expect(() => pointsOf(arm, { settings: {}, grid: [{}, { rate: 'x' }] }, 9, 'f.yaml')).toThrow(
      'f.yaml: arms.test-arm.grid.1.rate: ',
    )
  })

  it('refuses what the arm does not know before anything runs', () => {
    expect(() => pointsOf(arm, { settings: { colour: 1 } }, 1, 'f.yaml')).toThrow(
      'f.yaml: arms.test-arm.settings: Unrecognized key: "colour"',
    )
    expect(() => pointsOf(arm, { settings: {}, grid: { kind: ['a', 'c'] } }, 2, 'f.yaml')).toThrow(
      'f.yaml: arms.test-arm.settings.kind: Invalid option',
    )
  })

  it('takes the least loss on the validation clients, never one that is no number', () => {
    const trial = (loss: number) => ({ settings: { loss }, loss, accuracy: 0 })
    expect(best([trial(3), trial(Number.NaN), trial(2), trial(5)])).toEqual({ loss: 2 })
    expect(() => best([trial(Number.NaN)])).toThrow('every trial diverged')
    expect(best([])).toBeUndefined()
  })
})

describe('the registry', () => {
  it('names each arm once, with settings that need nothing and a grid that they know', () => {
    expect(new Set(ARMS.map(({ name }) => name)).size).toBe(ARMS.length)
    for (const each of ARMS) {
      expect(each.name).toMatch(/^[a-z][a-z0-9-]*$/)
      expect(() => pointsOf(each, undefined, 1000, 'f')).not.toThrow()
    }
  })

  it('lists them where there is none of that name', () => {
    expect(() => armOf('fedavg')).toThrow('expected the name of an arm, got "fedavg"')
  })
})

describe('the split of the clients', () => {
  const simulated = async () =>
    workspace((config) => {
      config.data.simulation = true
    })

  it('puts each client on one side, whatever the order of the file', async () => {
    const first = await simulated()
    const split = await splitClients(await loadConfig(first.config), join(first.folder, 'data'), 0.25)
    const { clients, validationClients, evaluationClients } = split.counts
    expect(clients + validationClients).toBe(40)
    expect(validationClients).toBeGreaterThan(2)
    expect(evaluationClients).toBe(12)
    const texts = async (file: string) =>
      (await readFile(file, 'utf8'))
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { client: string; text: string })
    const own = await texts(split.clients)
    const chosen = await texts(split.validation)
    expect(own.filter(({ client }) => chosen.some((row) => row.client === client))).toEqual([])

    const second = await simulated()
    const rows = (await readFile(join(second.folder, 'clients.jsonl'), 'utf8')).trimEnd().split('\n')
    const turned = [...rows].sort((a, b) => (JSON.parse(b).client < JSON.parse(a).client ? -1 : 1))
    await writeFile(join(second.folder, 'clients.jsonl'), `${turned.join('\n')}\n`)
    const again = await splitClients(await loadConfig(second.config), join(second.folder, 'data'), 0.25)
    const sorted = (all: { text: string }[]) => all.map(({ text }) => text).sort()
    expect(sorted(await texts(again.validation))).toEqual(sorted(chosen))
  })

  it('is made once: other data or another share are refused', async () => {
    const { folder, config } = await simulated()
    const loaded = await loadConfig(config)
    const first = await splitClients(loaded, join(folder, 'data'), 0.25)
    expect((await splitClients(loaded, join(folder, 'data'), 0.25)).sha256).toBe(first.sha256)
    await expect(splitClients(loaded, join(folder, 'data'), 0.4)).rejects.toThrow(
      'this comparison was begun with other clients, validation clients or evaluation texts than there are now',
    )
  })

  it('refuses private texts, and data without consented clients', async () => {
    const { folder, config } = await workspace()
    await expect(splitClients(await loadConfig(config), folder, 0.2)).rejects.toThrow(
      'expected data.simulation: true, got private texts',
    )
    const without = await workspace((own) => {
      own.data.simulation = true
      delete own.data.consented
    })
    await expect(splitClients(await loadConfig(without.config), folder, 0.2)).rejects.toThrow(
      'expected consented texts to evaluate on (data.consented), got none',
    )
  })
})
