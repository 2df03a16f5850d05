// Every accountant against golden values of independent implementations: dp-accounting 0.6.0 and mpmath at 40 digits
// (test/golden/accounting.py). Rounding of the printed figures aside, ours may only be tighter where a figure is a bound.
import { describe, expect, it } from 'vitest'
import { account, epsilonOf } from '../../src/privacy/accountant.ts'
import { analytic } from '../../src/privacy/analytic.ts'
import { calibrate } from '../../src/privacy/calibration.ts'
import type { MechanismEvent } from '../../src/privacy/events.ts'
import { fixedSizeDivergence } from '../../src/privacy/fixed-size.ts'
import { pld, pldDelta, pldEpsilon } from '../../src/privacy/pld.ts'
import { rdp } from '../../src/privacy/rdp.ts'
import { sampledGaussianDivergence } from '../../src/privacy/sampled-gaussian.ts'
import { zcdp } from '../../src/privacy/zcdp.ts'
import golden from '../golden/accounting.json' with { type: 'json' }

const gaussian = (noiseMultiplier: number): MechanismEvent => ({ type: 'gaussian', noiseMultiplier })
const poisson = (rate: number, sigma: number): MechanismEvent => ({
  type: 'poissonSampled',
  rate,
  event: gaussian(sigma),
})
const times = (count: number, event: MechanismEvent): MechanismEvent => ({ type: 'repeated', count, event })
const relative = (found: number, wanted: number) => Math.abs(found / wanted - 1)

/** Renyi bounds: at most the table's (up to its rounding), at least 0.5 % below it, because its orders are a coarse list. */
function expectRenyi(found: number, wanted: number) {
  expect(found).toBeLessThanOrEqual(wanted * (1 + 1e-6))
  expect(found).toBeGreaterThanOrEqual(wanted * (1 - 5e-3))
}

describe('the reference table', () => {
  it.each(golden.table)('sigma $sigma, rate $rate, $releases releases, delta $delta', (row) => {
    const { sigma, rate, releases, delta } = row
    const events = [times(releases, rate === 1 ? gaussian(sigma) : poisson(rate, sigma))]
    const bounds = pldEpsilon(events, delta)
    expect(bounds.lower).toBeLessThanOrEqual(bounds.upper)
    expect(bounds.upper).toBeLessThanOrEqual(row.pldAbove + 1e-3)
    expect(bounds.upper).toBeGreaterThanOrEqual(row.pldBelow - 1e-3)
    expect(bounds.lower).toBeLessThanOrEqual(row.pldAbove)
    expect(bounds.upper - bounds.lower).toBeLessThan(5e-4 * bounds.upper)
    expectRenyi(rdp.epsilon(events, delta), row.rdp)
    if (row.analytic !== undefined && row.zcdp !== undefined) {
      expect(relative(analytic.epsilon(events, delta), row.analytic)).toBeLessThan(1e-9)
      expect(bounds.upper).toBeGreaterThanOrEqual(row.analytic)
      expect(bounds.lower).toBeLessThanOrEqual(row.analytic)
      expect(relative(zcdp.epsilon(events, delta), row.zcdp)).toBeLessThan(1e-9)
      expect(zcdp.epsilon(events, delta)).toBeLessThan(row.zcdpClassic as number)
    }
    if (row.fixedSize !== undefined) {
      const cohort = times(releases, { type: 'fixedSizeSampled', rate, event: gaussian(sigma) })
      expectRenyi(rdp.epsilon([cohort], delta, 'substitution'), row.fixedSize)
    }
  })

  it('the figures that PrE-Text prints, and what they are', () => {
    const events = (sigma: number) => [times(11, gaussian(sigma))]
    expect(analytic.epsilon(events(11.3), 3e-6)).toBeCloseTo(1.188956, 6)
    expect(rdp.epsilon(events(11.3), 3e-6)).toBeCloseTo(1.287481, 5)
    expect(analytic.epsilon(events(2.31), 3e-6)).toBeCloseTo(7.080123, 6)
    expect(rdp.epsilon(events(2.31), 3e-6)).toBeCloseTo(7.578977, 5)
  })
})

describe('further values', () => {
  it.each(golden.calibration)('epsilon $epsilon over 11 releases needs sigma $sigma', (row) => {
    const events = (sigma: number) => [times(row.releases, gaussian(sigma))]
    const found = calibrate(analytic, row, events)
    expect(relative(found, row.sigma)).toBeLessThan(1e-8)
    expect(analytic.epsilon(events(found), row.delta)).toBeLessThanOrEqual(row.epsilon)
  })

  it.each(golden.byReleases)('sigma $sigma, $releases releases: epsilon $epsilon', (row) => {
    const found = epsilonOf([times(row.releases, gaussian(row.sigma))], row.delta)
    expect(relative(found, row.epsilon)).toBeLessThan(1e-9)
  })

  it.each(golden.deltas)('delta at epsilon $epsilon of mu $mu is $delta', ({ epsilon, mu, delta }) => {
    expect(relative(analytic.delta([gaussian(1 / mu)], epsilon), delta)).toBeLessThan(1e-9)
    const bounds = pldDelta([gaussian(1 / mu)], epsilon)
    expect(bounds.upper).toBeGreaterThanOrEqual(delta)
    expect(bounds.lower).toBeLessThanOrEqual(delta)
    // Also where delta is 4e-15: the transform is tilted to where the answer is.
    expect(bounds.upper / delta - 1).toBeLessThan(1e-3)
    expect(1 - bounds.lower / delta).toBeLessThan(3e-2)
  })

  it('different noise: 5 x sigma 4 and 6 x sigma 8', () => {
    const events = [times(5, gaussian(4)), times(6, gaussian(8))]
    const { different } = golden.composed
    expect(relative(analytic.epsilon(events, 1e-6), different.analytic)).toBeLessThan(1e-9)
    expect(Math.abs(pld.epsilon(events, 1e-6) - different.pld)).toBeLessThan(1e-3)
    expectRenyi(rdp.epsilon(events, 1e-6), different.rdp)
  })

  it('sampled and unsampled releases together: 3 x sigma 6, and 8 x sigma 3 at rate 0.2', () => {
    const events = [times(3, gaussian(6)), times(8, poisson(0.2, 3))]
    const { mixed } = golden.composed
    const bounds = pldEpsilon(events, 1e-6)
    expect(bounds.upper).toBeLessThanOrEqual(mixed.pld + 1e-6)
    expect(bounds.lower).toBeGreaterThan(mixed.pld - 1e-3)
    expectRenyi(rdp.epsilon(events, 1e-6), mixed.rdp)
    expect(account(events, 1e-6).accountant.name).toBe('pld')
  })

  it.each(golden.laplace)('Laplace of scale $scale, $releases releases, delta $delta', (row) => {
    const events = [times(row.releases, { type: 'laplace', noiseMultiplier: row.scale })]
    const bounds = pldEpsilon(events, row.delta)
    expect(bounds.upper).toBeGreaterThanOrEqual(row.below)
    expect(bounds.upper).toBeLessThanOrEqual(row.above + 1e-4)
    expect(bounds.lower).toBeLessThanOrEqual(row.above)
    // The sum of the pure epsilons is a bound as well.
    expect(bounds.upper).toBeLessThanOrEqual(row.releases / row.scale + 1e-9)
    expect(rdp.epsilon(events, row.delta)).toBeGreaterThanOrEqual(bounds.lower)
    expect(zcdp.epsilon(events, row.delta)).toBeGreaterThanOrEqual(
      rdp.epsilon(events, row.delta) * (1 - 1e-9),
    )
  })
})

describe('raw Renyi divergences', () => {
  it.each(golden.poisson)('Poisson: rate $rate, sigma $sigma, order $order', (row) => {
    const { rate, sigma, order } = row
    const remove = sampledGaussianDivergence(rate, sigma, order, 'remove')
    const add = sampledGaussianDivergence(rate, sigma, order, 'add')
    expect(relative(remove, row.remove)).toBeLessThan(1e-9)
    expect(relative(add, row.add)).toBeLessThan(1e-9)
    expect(add).toBeLessThanOrEqual(remove)
    // The integral meets the closed form beside an integer order.
    if (Number.isInteger(order)) {
      expect(relative(sampledGaussianDivergence(rate, sigma, order * (1 + 1e-12)), row.remove)).toBeLessThan(
        1e-8,
      )
    }
  })

  it.each(golden.fixedSize)('fixed size: rate $rate, sigma $sigma, order $order', (row) => {
    expect(relative(fixedSizeDivergence(row.rate, row.sigma)(row.order), row.divergence)).toBeLessThan(1e-8)
  })
})
