// Floating-point noise betrays its input; what pretext releases does not.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { voteBound } from '../../src/histogram/bound.ts'
import { ExactVotes } from '../../src/histogram/exact-votes.ts'
import { readRelease, releaseHistogram } from '../../src/histogram/release.ts'
import { systemRandom } from '../../src/privacy/private-random.ts'
import { normalCdf } from '../../src/privacy/special.ts'
import { floatNormal, impossibleShare, possibleFrom } from './float-attack.ts'

const SIGMA = 2.31
const N = 200_000

describe('the attack on floating-point noise', () => {
  it('tells 26.7% of the outputs of 64-bit float noise at sigma 2.31 from those of the neighbour', () => {
    const { word } = systemRandom()
    let impossible = 0
    for (let i = 0; i < N; i++) if (!possibleFrom(1, 0 + SIGMA * floatNormal(word))) impossible++
    const share = impossible / N
    // 5 standard errors at n = 200,000 are 0.005. A mechanism with delta 3e-6 could show 3e-6.
    expect(Math.abs(share - 0.267)).toBeLessThan(0.005)
    expect(impossibleShare(SIGMA, normalCdf)).toBeCloseTo(0.267, 3)
  })

  it('finds 0 impossible outputs in what is released', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'float-'))
    // multihot: one vote is one step of the grid, so the neighbour differs by 1 as in the attack.
    const bound = voteBound({ mode: 'multihot', maxTextsPerClient: 1, neighbours: 1 })
    const outputs = async (name: string, clients: number) => {
      const file = join(folder, `${name}.json`)
      await releaseHistogram({
        file,
        ledger: join(folder, 'ledger.jsonl'),
        terms: { dataset: 'people', unit: 'client', adjacency: 'add-remove' },
        charge: { run: 'r', release: name, mechanism: { type: 'gaussian', noiseMultiplier: SIGMA } },
        count: async () => {
          const votes = new ExactVotes(N, bound, false)
          for (let c = 0; c < clients; c++) votes.add({ indices: [0], steps: [1n] })
          return votes
        },
      })
      return (await readRelease(file))?.steps ?? []
    }
    const steps = await outputs('without', 0)
    expect(steps).toHaveLength(N)
    expect(steps.filter((output) => !possibleFrom(1, output))).toHaveLength(0)
    expect(steps.every(Number.isSafeInteger)).toBe(true)
    // Every output near the middle does come up, from either input.
    for (const input of [0, 1]) {
      const seen = new Set(steps.map((output) => output + input))
      for (let k = -6; k <= 6; k++) expect(seen.has(k)).toBe(true)
    }
    expect(await outputs('with', 1)).toHaveLength(N)
  })
})
