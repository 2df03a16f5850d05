// The shipped comparisons: valid, with arms, settings and grids that the arms know, over configs that can be loaded.
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkSets } from '../../src/compare/compare.ts'
import { loadCompare } from '../../src/compare/config.ts'
import { baseConfig } from '../../src/compare/ground.ts'
import { pointsOf } from '../../src/compare/points.ts'
import { ARMS, armOf } from '../../src/compare/registry.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const files = ['configs', 'bench/gpu'].flatMap((folder) =>
  readdirSync(join(ROOT, folder)).flatMap((name) =>
    /^compare.*\.yaml$/.test(name) ? [join(folder, name)] : [],
  ),
)

describe.each(files)('%s', (name) => {
  it('is valid, and so is every run that it asks for', async () => {
    const config = await loadCompare(join(ROOT, name))
    for (const [arm, entry] of Object.entries(config.arms)) {
      const points = pointsOf(armOf(arm), entry, config.trials, name)
      expect(points.points.length).toBeGreaterThan(0)
      await checkSets(config, armOf(arm), points)
    }
    for (const epsilon of config.epsilons) {
      const { config: run } = await baseConfig(config, epsilon)
      expect(run.data.simulation).toBe(true)
      expect(run.privacy.epsilon).toBe(epsilon)
    }
  })
})

it('a key that a run does not have is refused before anything runs, and by its choice', async () => {
  const config = await loadCompare(join(ROOT, 'bench/gpu/compare-limits.yaml'))
  const points = { points: [{ set: {} }, { set: { 'evolution.round': 3 } }], grid: 2 }
  await expect(checkSets(config, armOf('pretext'), points)).rejects.toThrow(
    'compare-limits.yaml: arms.pretext.settings.set: {"evolution.round":3}: ',
  )
})

it('compare.yaml names every arm', async () => {
  const config = await loadCompare(resolve(import.meta.dirname, '../../configs/compare.yaml'))
  expect(Object.keys(config.arms).sort()).toEqual(ARMS.map(({ name }) => name).sort())
  expect(config.seeds.length).toBeGreaterThanOrEqual(5)
})
