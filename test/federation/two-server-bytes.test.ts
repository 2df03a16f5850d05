// What two-server mode sends, byte by byte: sealing is HPKE as RFC 9180 has it and @hpke/core does it; a share opens in its
// round, by its role, in its report of its client and nowhere else; and whatever bytes come, decoders answer with RangeError.
import { randomBytes } from 'node:crypto'
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import { x25519 } from '@noble/curves/ed25519.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeAnswers,
  decodeJob,
  decodeReport,
  encodeAnswers,
  encodeJob,
  encodeReport,
  helperSigned,
  jobItemSize,
  OUTCOMES,
  type Report,
  reportSize,
  sealedWith,
} from '../../src/federation/protocol/report-bytes.ts'
import { openSealed, x25519Secret } from '../../src/federation/verification/open-sealed.ts'
import { multihotVdaf } from '../../src/vdaf/index.ts'

const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes128Gcm(),
})
const exact = (bytes: Uint8Array) => new Uint8Array(bytes).buffer

function recipient(secret = new Uint8Array(randomBytes(32))) {
  const publicKey = x25519.getPublicKey(secret)
  return { secret: x25519Secret(secret, publicKey), publicKey }
}

async function sealed(publicKey: Uint8Array, text: Uint8Array, info: Uint8Array, aad: Uint8Array) {
  const recipientPublicKey = await suite.kem.deserializePublicKey(exact(publicKey))
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: exact(info) }, exact(text), exact(aad))
  return new Uint8Array([...new Uint8Array(enc), ...new Uint8Array(ct)])
}

describe('opening', () => {
  it('is RFC 9180, A.1.1: the first encryption of its test vector', () => {
    const key = recipient(hexToBytes('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'))
    expect(bytesToHex(key.publicKey)).toBe('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d')
    const enc = '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'
    const ct = 'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'
    const info = hexToBytes('4f6465206f6e2061204772656369616e2055726e')
    const opened = openSealed(key, hexToBytes(enc + ct), { info, aad: hexToBytes('436f756e742d30') })
    expect(new TextDecoder().decode(opened)).toBe('Beauty is truth, truth beauty')
  })

  it('opens what @hpke/core seals, of any length', async () => {
    const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
    await fc.assert(
      fc.asyncProperty(bytes(2000), bytes(100), bytes(200), async (text, info, aad) => {
        const key = recipient()
        const box = await sealed(key.publicKey, text, info, aad)
        expect(openSealed(key, box, { info, aad })).toEqual(text)
      }),
      { numRuns: 50 },
    )
  })

  it('one flipped bit anywhere, another key, info or aad, a shorter or a longer box: nothing', async () => {
    const key = recipient()
    const [text, info, aad] = ['a share', 'info', 'aad'].map((s) => new TextEncoder().encode(s)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const box = await sealed(key.publicKey, text, info, aad)
    for (let bit = 0; bit < 8 * box.length; bit++) {
      // The top bit of an X25519 point is ignored by the curve (RFC 7748), but not by the key schedule.
      const flipped = box.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(openSealed(key, flipped, { info, aad }), `bit ${bit}`).toBeUndefined()
    }
    expect(openSealed(recipient(), box, { info, aad })).toBeUndefined()
    expect(openSealed(key, box, { info: aad, aad })).toBeUndefined()
    expect(openSealed(key, box, { info, aad: info })).toBeUndefined()
    for (let length = 0; length < box.length; length++)
      expect(openSealed(key, box.subarray(0, length), { info, aad })).toBeUndefined()
    expect(openSealed(key, new Uint8Array([...box, 0]), { info, aad })).toBeUndefined()
    expect(openSealed(key, box, { info, aad })).toEqual(text)
  })

  it('a point of small order is refused', () => {
    const key = recipient()
    for (const first of [0, 1]) {
      const box = new Uint8Array(64)
      box[0] = first
      expect(openSealed(key, box, { info: new Uint8Array(0), aad: new Uint8Array(0) })).toBeUndefined()
    }
  })
})

describe('what a share is bound to', () => {
  const vdaf = multihotVdaf({ length: 8, maxWeight: 2 })
  const round = { task: 'a'.repeat(32), hash: 'b'.repeat(64), vdaf, context: new Uint8Array(0) }
  const part = { id: new Uint8Array(16), client: new Uint8Array(32), publicShare: new Uint8Array(64) }
  const flipped = (bytes: Uint8Array) => bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte))

  it('opens under its own terms alone: role, task, round, report, client and public share', async () => {
    const key = recipient()
    const terms = sealedWith(round, 'helper', part)
    const box = await sealed(key.publicKey, Uint8Array.of(1, 2, 3), terms.info, terms.aad)
    expect(openSealed(key, box, terms)).toEqual(Uint8Array.of(1, 2, 3))
    const others: Record<string, ReturnType<typeof sealedWith>> = {
      role: sealedWith(round, 'leader', part),
      task: sealedWith({ ...round, task: 'c'.repeat(32) }, 'helper', part),
      round: sealedWith({ ...round, hash: 'd'.repeat(64) }, 'helper', part),
      id: sealedWith(round, 'helper', { ...part, id: flipped(part.id) }),
      client: sealedWith(round, 'helper', { ...part, client: flipped(part.client) }),
      publicShare: sealedWith(round, 'helper', { ...part, publicShare: flipped(part.publicShare) }),
    }
    for (const [name, other] of Object.entries(others))
      expect(openSealed(key, box, other), name).toBeUndefined()
  })

  it('the client signs task, round, report, public share, key and box of the helper: each changes what is signed', () => {
    const helper = { keyId: '0'.repeat(16), box: new Uint8Array(80) }
    const all = [
      helperSigned(round, { ...part, helper }),
      helperSigned({ ...round, task: 'c'.repeat(32) }, { ...part, helper }),
      helperSigned({ ...round, hash: 'd'.repeat(64) }, { ...part, helper }),
      helperSigned(round, { ...part, id: flipped(part.id), helper }),
      helperSigned(round, { ...part, publicShare: flipped(part.publicShare), helper }),
      helperSigned(round, { ...part, helper: { ...helper, keyId: '1'.repeat(16) } }),
      helperSigned(round, { ...part, helper: { ...helper, box: flipped(helper.box) } }),
    ].map((bytes) => bytesToHex(bytes))
    expect(new Set(all).size).toBe(all.length)
  })
})

describe.each([false, true])('forms, multiproof %s', (multiproof) => {
  const vdaf = multihotVdaf({ length: 16, maxWeight: 4, multiproof })
  const { sizes } = vdaf
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  const keyId = fc.stringMatching(/^[0-9a-f]{16}$/)
  const sealedOf = (share: number) => fc.record({ keyId, box: bytes(48 + share) })
  const report: fc.Arbitrary<Report> = fc.record({
    id: bytes(16),
    client: bytes(32),
    signature: bytes(64),
    publicShare: bytes(sizes.publicShare),
    helper: sealedOf(sizes.helperShare),
    leader: sealedOf(sizes.leaderShare),
  })

  it('a report has one form, and comes back as it was', () => {
    fc.assert(
      fc.property(report, (one) => {
        const encoded = encodeReport(vdaf, one)
        expect(encoded.length).toBe(reportSize(vdaf))
        const back = decodeReport(vdaf, encoded)
        expect(back).toEqual(one)
        expect(encodeReport(vdaf, back)).toEqual(encoded)
      }),
      { numRuns: 50 },
    )
  })

  it('jobs and answers come back as they were', () => {
    const item = report.chain((one) =>
      bytes(sizes.verifierShare).map((verifierShare) => {
        const { leader: _, ...part } = one
        return { ...part, verifierShare }
      }),
    )
    fc.assert(
      fc.property(fc.array(item, { maxLength: 4 }), (items) => {
        const encoded = encodeJob(vdaf, items)
        expect(decodeJob(vdaf, encoded)).toEqual(items)
        expect(encoded.length).toBe(8 + items.length * jobItemSize(vdaf))
      }),
      { numRuns: 30 },
    )
    const answer = fc
      .record({ outcome: fc.constantFrom(...OUTCOMES), message: bytes(sizes.verifierMessage) })
      .map((one) =>
        one.outcome === 'accepted' ? one : { ...one, message: new Uint8Array(sizes.verifierMessage) },
      )
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 8 }), (answers) => {
        expect(decodeAnswers(vdaf, encodeAnswers(vdaf, answers))).toEqual(answers)
      }),
    )
  })

  it('any bytes end in RangeError, and none are quoted', () => {
    const length = reportSize(vdaf)
    const heads = ['50545852', '5054584a', '50545841'].map((head) => hexToBytes(`${head}01000000`))
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 2 * length }),
      bytes(length),
      // The right beginning and any rest.
      fc
        .tuple(fc.constantFrom(...heads), fc.uint8Array({ maxLength: length }))
        .map(([head, rest]) => new Uint8Array([...head, ...rest])),
      // An outcome that is none.
      fc
        .integer({ min: OUTCOMES.length, max: 255 })
        .map(
          (outcome) =>
            new Uint8Array([...(heads[2] as Uint8Array), outcome, ...new Uint8Array(sizes.verifierMessage)]),
        ),
    )
    for (const decode of [decodeReport, decodeJob, decodeAnswers]) {
      fc.assert(
        fc.property(hostile, (input) => {
          try {
            decode(vdaf, input)
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError)
            expect((error as Error).message).toMatch(
              /^expected (a report of \d+ bytes, got \d+|a report of version 1|whole reports of an aggregation job|an outcome of the protocol)$/,
            )
          }
        }),
        { numRuns: 300 },
      )
    }
  })
})
