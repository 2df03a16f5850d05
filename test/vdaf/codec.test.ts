// Every message is decoded strictly: the exact size, every element below the modulus, and nothing else.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeAggregateShare,
  decodeInputShare,
  decodePublicShare,
  decodeVerifierMessage,
  decodeVerifierShare,
} from '../../src/vdaf/codec.ts'
import { concat, encode } from '../../src/vdaf/field.ts'
import {
  prio3MultihotCountVec,
  prio3MultihotCountVecWithMultiproof,
  prio3Sum,
} from '../../src/vdaf/instances.ts'
import type { Parameters } from '../../src/vdaf/parameters.ts'
import { RejectedReport } from '../../src/vdaf/rejection.ts'

const options = { length: 6, maxWeight: 2, chunkLength: 3 }
const context = new TextEncoder().encode('codec')

for (const [label, vdaf] of Object.entries({
  'Field128 with joint randomness': prio3MultihotCountVec(options),
  'Field64, three proofs': prio3MultihotCountVecWithMultiproof(options),
  'Field64 without joint randomness': prio3Sum({ maxMeasurement: 5 }),
})) {
  const parameters: Parameters = vdaf.parameters
  const { field } = parameters.circuit
  const nonce = new Uint8Array(16)
  const verifyKey = new Uint8Array(32)
  const measurement = (label.includes('without') ? 4 : [1, 0, 0, 1, 0, 0]) as never
  const { publicShare, inputShares } = vdaf.shard(measurement, { context, nonce })
  const [leader = nonce, helper = nonce] = inputShares
  const verified = [leader, helper].map((inputShare, aggregator) =>
    vdaf.verifyInit({ verifyKey, context, nonce, publicShare, inputShare, aggregator }),
  )
  const message = vdaf.verifierSharesToMessage(
    context,
    verified.map((one) => one.verifierShare),
  )
  const messages = {
    'a leader input share': [leader, (bytes) => decodeInputShare(parameters, 0, bytes), 'elements'],
    'a helper input share': [helper, (bytes) => decodeInputShare(parameters, 1, bytes), 'bytes'],
    'a public share': [publicShare, (bytes) => decodePublicShare(parameters, bytes), 'bytes'],
    'a verifier share': [
      verified[0]?.verifierShare ?? nonce,
      (bytes) => decodeVerifierShare(parameters, bytes),
      'elements',
    ],
    'a verifier message': [message, (bytes) => decodeVerifierMessage(parameters, bytes), 'bytes'],
    'an aggregate share': [
      verified[0]?.state.outputShare ?? nonce,
      (bytes) => decodeAggregateShare(parameters, bytes),
      'elements',
    ],
  } satisfies Record<string, [Uint8Array, (bytes: Uint8Array) => unknown, 'elements' | 'bytes']>

  describe(`codecs: ${label}`, () => {
    it('the sizes are those of the messages', () => {
      const { sizes } = vdaf
      expect({
        leaderShare: leader.length,
        helperShare: helper.length,
        publicShare: publicShare.length,
        verifierShare: verified[0]?.verifierShare.length,
        verifierMessage: message.length,
        aggregateShare: verified[0]?.state.outputShare.length,
        upload: leader.length + helper.length + publicShare.length,
      }).toEqual({
        leaderShare: sizes.leaderShare,
        helperShare: sizes.helperShare,
        publicShare: sizes.publicShare,
        verifierShare: sizes.verifierShare,
        verifierMessage: sizes.verifierMessage,
        aggregateShare: sizes.aggregateShare,
        upload: sizes.upload,
      })
    })

    it.each(Object.entries(messages))('%s of any other size is malformed', (what, [good, decode]) => {
      expect(() => decode(good)).not.toThrow()
      fc.assert(
        fc.property(fc.integer({ min: 0, max: 3 * good.length + 40 }), (size) => {
          if (size === good.length) return
          const bytes = new Uint8Array(size)
          bytes.set(good.subarray(0, Math.min(size, good.length)))
          expect(() => decode(bytes)).toThrow(
            expect.objectContaining({
              reason: 'malformed',
              message: `expected ${what} of ${good.length} bytes, got ${size}`,
            }),
          )
        }),
      )
    })

    it.each(Object.entries(messages).filter(([, [, , kind]]) => kind === 'elements'))(
      '%s with an element at or above the modulus is malformed, wherever it is',
      (what, [good, decode]) => {
        const { modulus, size } = field
        const limb = (value: bigint) => {
          const bytes = new Uint8Array(size)
          for (let i = 0; i < size; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n)
          return bytes
        }
        const tail = what === 'an aggregate share' || vdaf.sizes.verifierMessage === 0 ? 0 : 32
        for (let at = 0; at < good.length - tail; at += size) {
          for (const value of [modulus, modulus + 1n, 2n ** BigInt(8 * size) - 1n]) {
            const bytes = good.slice()
            bytes.set(limb(value), at)
            expect(() => decode(bytes)).toThrow(RejectedReport)
          }
          const largest = good.slice()
          largest.set(limb(modulus - 1n), at)
          expect(() => decode(largest)).not.toThrow()
        }
      },
    )

    it('says so without quoting a share', () => {
      const bytes = leader.slice()
      bytes.fill(255, 0, field.size)
      expect(() => decodeInputShare(parameters, 0, bytes)).toThrow(
        `expected the leader input share to hold elements of ${field.name}, got one at or above its modulus`,
      )
    })

    it('a mistake of the caller is a RangeError, not a rejected report', () => {
      const input = { verifyKey, context, nonce, publicShare, inputShare: leader, aggregator: 0 }
      expect(() => vdaf.verifyInit({ ...input, aggregator: 2 })).toThrow(
        new RangeError('expected an aggregator from 0 to 1, got 2'),
      )
      expect(() => vdaf.verifyInit({ ...input, nonce: new Uint8Array(15) })).toThrow(
        new RangeError('expected a nonce of 16 bytes, got 15'),
      )
      expect(() => vdaf.verifyInit({ ...input, verifyKey: new Uint8Array(16) })).toThrow(
        new RangeError('expected a verify key of 32 bytes, got 16'),
      )
      expect(() => vdaf.verifierSharesToMessage(context, [new Uint8Array(1)])).toThrow(
        new RangeError('expected 2 verifier shares, got 1'),
      )
      expect(() => vdaf.unshard([encode(field, [1])], 1)).toThrow(
        new RangeError('expected 2 aggregate shares, got 1'),
      )
      expect(() => vdaf.shard(measurement, { context, nonce, rand: concat(nonce) })).toThrow(
        new RangeError(`expected a rand of ${vdaf.sizes.rand} bytes, got 16`),
      )
    })
  })
}
