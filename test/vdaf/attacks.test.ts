// No poisoned report is counted. The chance of a wrong pass is below 2^-119 a report in every shape here, so one is a defect.
import { describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/random.ts'
import { slice } from '../../src/vdaf/field.ts'
import { poisoner } from './poison.ts'

const EACH = 8

for (const [label, options] of Object.entries({
  'Field128, one proof': { length: 40, maxWeight: 5 },
  'Field64, three proofs': { length: 40, maxWeight: 5, multiproof: true },
  'a weight that is a power of two, chunks that do not fit': { length: 23, maxWeight: 4, chunkLength: 5 },
})) {
  describe(`poisoned reports: ${label}`, () => {
    const tools = poisoner(options, seededRandom(1, 'attacks', label))

    it('honest reports pass', () => {
      for (let i = 0; i < EACH; i++) expect(tools.accepted({ report: tools.honest() })).toBe(true)
    })

    it.each(Object.keys(tools.attacks))(`%s: 0 of ${EACH} accepted`, (name) => {
      for (let i = 0; i < EACH; i++) {
        const attack = tools.attacks[name]
        if (attack !== undefined) expect(tools.accepted(attack())).toBe(false)
      }
    })

    it('the forged polynomial does pass all but the gadget test', () => {
      const { vdaf, verifyKey, context, parameters } = tools
      const { field } = parameters.circuit
      const report = tools.forged()
      const [leader, helper] = report.inputShares.map((inputShare, aggregator) =>
        vdaf.verifyInit({
          verifyKey,
          context,
          nonce: report.nonce,
          publicShare: report.publicShare,
          inputShare,
          aggregator,
        }),
      )
      const first = (share: Uint8Array | undefined) => slice(field, share ?? new Uint8Array(0), 0, 1)
      expect(field.add(first(leader?.verifierShare), first(helper?.verifierShare))).toEqual(
        new Uint8Array(field.size),
      )
      // And the joint randomness fits: only decide() stands in the way.
      expect(leader?.state.jointRandSeed).toEqual(helper?.state.jointRandSeed)
      expect(() =>
        vdaf.verifierSharesToMessage(context, [
          leader?.verifierShare ?? new Uint8Array(0),
          helper?.verifierShare ?? new Uint8Array(0),
        ]),
      ).toThrow('the proof of this report does not hold')
    })
  })
}
