// The shipped comparisons: valid, with arms, settings and grids that the arms know, over configs that can be loaded.
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadCompare } from '../../src/compare/config.ts'
import { baseConfig } from '../../src/compare/ground.ts'
import { pointsOf } from '../../src/compare/points.ts'
import { ARMS, armOf } from '../../src/compare/registry.ts'

describe.each(['compare.yaml', 'compare-small.yaml'])('configs/%s', (name) => {
  it('is valid, and so is every run that it asks for', async () => {
    const config = await loadCompare(resolve(import.meta.dirname, '../../configs', name))
    for (const [arm, entry] of Object.entries(config.arms)) {
      expect(pointsOf(armOf(arm), entry, config.trials, name).points.length).toBeGreaterThan(0)
    }
    for (const epsilon of config.epsilons) {
      const { config: run } = await baseConfig(config, epsilon)
      expect(run.data.simulation).toBe(true)
      expect(run.privacy.epsilon).toBe(epsilon)
    }
  })
})

it('compare.yaml names every arm', async () => {
  const config = await loadCompare(resolve(import.meta.dirname, '../../configs/compare.yaml'))
  expect(Object.keys(config.arms).sort()).toEqual(ARMS.map(({ name }) => name).sort())
  expect(config.seeds.length).toBeGreaterThanOrEqual(5)
})
