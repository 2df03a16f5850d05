// The noise of two parties, seen with the eyes of each who could be curious: the honest path keeps its claim against all of
// them, and a party that adds too little is seen by whoever knows the other one's noise. Confidence and false alarms are
// those of planted.test.ts.
import { describe, expect, it } from 'vitest'
import { type AuditOptions, auditNoise } from '../../src/audit/audit-noise.ts'
import { deployedParties, type Parties, pathSeenBy } from '../../src/audit/two-server-path.ts'
import type { View } from '../../src/audit/views.ts'
import { noiseTable } from '../../src/cli/output/audit.ts'
import { voteBound } from '../../src/histogram/bound.ts'
import { addNoise } from '../../src/histogram/noise.ts'
import { rationalAtLeast } from '../../src/privacy/rounded-gaussian.ts'

const vote = { mode: 'multihot', maxTextsPerClient: 4, neighbours: 1, maxCandidates: 4 } as const

function audit(view: View, parties?: Parties, more: Partial<AuditOptions> = {}) {
  return auditNoise({
    vote,
    bound: voteBound(vote),
    adjacency: 'add-remove',
    noiseMultiplier: 1,
    rounds: 1,
    delta: 3e-6,
    samples: 200_000,
    view,
    ...(parties === undefined ? {} : { path: pathSeenBy(view, parties) }),
    ...more,
  })
}

/** A party that adds so many times the noise that it should. */
const party =
  (factor: number): typeof addNoise =>
  (votes, mechanism, sensitivity, random) => {
    if (factor === 0) return addNoise(votes, { type: 'exact' }, sensitivity, random)
    if (mechanism.type !== 'gaussian') throw new Error('expected Gaussian noise')
    const noiseMultiplier = factor * mechanism.noiseMultiplier
    return addNoise(votes, { ...mechanism, noiseMultiplier }, sensitivity, random)
  }

/** A helper that adds so many times the noise that it should. */
const helping =
  (factor: number): Parties['helper'] =>
  (vdaf, share, sigma, random) => {
    if (factor === 0) return share
    const scaled = rationalAtLeast((factor * Number(sigma.numerator)) / Number(sigma.denominator))
    return deployedParties.helper(vdaf, share, scaled, random)
  }

describe('two parties that add their noise', () => {
  it.each(['leader', 'helper'] as const)('keep the claim against a curious %s', async (view) => {
    const result = await audit(view)
    expect(['pass', 'below-floor']).toContain(result.verdict)
    expect(result.mu?.bound).toBeLessThan(result.claim.mu)
    expect(result.mu?.bound).toBeGreaterThan(0.8 * result.claim.mu)
  })

  it('show outsiders less: the noise of both', async () => {
    // So many samples for a mu that is this small: with 200,000 it is below the limit once in 300 runs.
    const result = await audit('outsiders', undefined, { samples: 1_000_000 })
    expect(['pass', 'below-floor']).toContain(result.verdict)
    expect(result.mu?.bound).toBeLessThan(result.claim.mu / Math.SQRT2)
    expect(result.mu?.bound).toBeGreaterThan((0.8 * result.claim.mu) / Math.SQRT2)
  })

  it('keep the claim over three rounds and under substitution', async () => {
    const result = await audit('leader', undefined, {
      rounds: 3,
      adjacency: 'substitution',
      noiseMultiplier: 2,
    })
    expect(['pass', 'below-floor']).toContain(result.verdict)
    expect(result.mu?.bound).toBeLessThan(result.claim.mu)
  })
})

describe('a helper that adds no noise', () => {
  const parties = { ...deployedParties, helper: helping(0) }

  it('harms nobody outside: the leader’s noise keeps the claim', async () => {
    const result = await audit('outsiders', parties, { samples: 500_000 })
    expect(result.verdict).toBe('pass')
    expect(result.mu?.bound).toBeLessThan(result.claim.mu)
    expect(result.mu?.bound).toBeGreaterThan(0.8 * result.claim.mu)
  })

  it('shows the leader the exact sums: above the claim', async () => {
    const result = await audit('leader', parties)
    expect(result.verdict).toBe('above-claim')
    expect(result.epsilon?.bound).toBeGreaterThan(result.claim.epsilon)
  })
})

describe('other faults', () => {
  it('a leader that adds no noise shows the helper the exact sums', async () => {
    const parties = { ...deployedParties, leader: party(0) }
    expect((await audit('helper', parties)).verdict).toBe('above-claim')
    expect((await audit('leader', parties)).verdict).not.toBe('above-claim')
  })

  it('two halves of the noise are enough for outsiders and for neither party', async () => {
    const parties = { leader: party(Math.SQRT1_2), helper: helping(Math.SQRT1_2) }
    expect((await audit('outsiders', parties)).verdict).not.toBe('above-claim')
    for (const view of ['leader', 'helper'] as const) {
      expect((await audit(view, parties)).verdict, view).toBe('above-claim')
    }
  })
})

it('refuses votes that no proof covers', async () => {
  const normalised = { mode: 'normalised', maxTextsPerClient: 4, neighbours: 1 } as const
  const other = audit('leader', undefined, { vote: normalised, bound: voteBound(normalised) })
  await expect(other).rejects.toThrow('expected multihot votes for the view of leader')
})

it('says whose eyes it looked with', async () => {
  const result = await audit('helper', undefined, { samples: 20_000 })
  expect(noiseTable(result)).toMatch(/seen by +helper: the release less the noise of the helper/)
})
