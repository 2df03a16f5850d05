// Votes, candidates and manifests on the wire: one form, all of it checked, nothing lost.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matrix } from '../../src/embeddings/matrix.ts'
import { fromBase64Url, sha256Hex, toBase64Url } from '../../src/federation/protocol/bytes.ts'
import { decodeCandidates, encodeCandidates } from '../../src/federation/protocol/candidate-bytes.ts'
import { manifestBytes, parseManifest } from '../../src/federation/protocol/manifest.ts'
import { decodeVote, encodeVote, longestVote } from '../../src/federation/protocol/vote-bytes.ts'
import { exampleManifest } from './example.ts'

const SALT = new Uint8Array(16).fill(7)
const N = 5000

const votes = fc
  .uniqueArray(fc.record({ index: fc.nat(N - 1), steps: fc.bigInt(1n, 1n << 40n) }), {
    selector: ({ index }) => index,
    maxLength: 60,
  })
  .map((entries) => {
    const sorted = [...entries].sort((a, b) => a.index - b.index)
    return { indices: sorted.map(({ index }) => index), steps: sorted.map(({ steps }) => steps) }
  })

describe('a vote on the wire', () => {
  it('comes back as it was, and has one form', () => {
    fc.assert(
      fc.property(votes, (vote) => {
        const bytes = encodeVote(vote, SALT)
        expect(decodeVote(bytes, N)).toEqual(vote)
        expect(bytes.length).toBeLessThanOrEqual(longestVote(N))
        expect(encodeVote(decodeVote(bytes, N), SALT)).toEqual(bytes)
      }),
    )
  })

  it('any bytes are refused or are the one form of what they say', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (tail) => {
        const bytes = new Uint8Array([...SALT, ...tail])
        try {
          const vote = decodeVote(bytes, 100)
          expect(encodeVote(vote, SALT)).toEqual(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
        }
      }),
      { numRuns: 5000 },
    )
  })

  it('takes tens of bytes: 33 to 37 for four candidates among 1,024', () => {
    const of = (indices: number[], steps: bigint) =>
      encodeVote({ indices, steps: indices.map(() => steps) }, SALT).length
    expect(of([0, 1, 2, 3], 32_768n)).toBe(33)
    expect(of([1020, 1021, 1022, 1023], 32_768n)).toBe(34)
    expect(of([200, 400, 600, 800], 32_768n)).toBe(37)
  })

  it.each([
    ['too short', [], 'the vote ends too early'],
    ['more candidates than there are', [11], 'the vote names more candidates than there are'],
    ['a candidate that there is not', [1, 10, 1], 'the vote names a candidate that there is not'],
    ['no step', [1, 0, 0], 'the vote names a candidate with no step'],
    ['left over bytes', [1, 0, 1, 0], 'bytes are left over after the vote'],
    ['a long form', [1, 0x80, 0, 1], 'a number is not in its shortest form'],
    ['a giant number', [1, 0, 255, 255, 255, 255, 255, 255, 255, 255, 127], 'a number is out of all bounds'],
    ['an endless number', [1, 0, ...Array(10).fill(255)], 'a number is out of all bounds'],
  ])('%s is refused', (_, tail, message) => {
    expect(() => decodeVote(new Uint8Array([...SALT, ...tail]), 10)).toThrow(new RangeError(message))
  })

  it('leaves out candidates without a step', () => {
    const bytes = encodeVote({ indices: [1, 4], steps: [0n, 5n] }, SALT)
    expect(decodeVote(bytes, 10)).toEqual({ indices: [4], steps: [5n] })
  })
})

describe('candidates on the wire', () => {
  const rows = fc.array(fc.float({ min: -2, max: 2, noNaN: true }), { minLength: 12, maxLength: 12 })

  it.each([
    ['int8', 1 / 127],
    ['float16', 2 ** -10],
  ] as const)('%s is close to what it was, and again the same bytes', (encoding, error) => {
    fc.assert(
      fc.property(rows, (values) => {
        const m = matrix(3, 4, Float32Array.from(values))
        const bytes = encodeCandidates(m, encoding)
        const back = decodeCandidates(bytes, { count: 3, dim: 4, encoding })
        m.values.forEach((value, i) => {
          expect(Math.abs((back.values[i] as number) - value)).toBeLessThanOrEqual(2 * error)
        })
        expect(encodeCandidates(back, encoding)).toEqual(bytes)
      }),
    )
  })

  it('half floats are those of IEEE 754: every one of them comes back', () => {
    const values = Array.from({ length: 0x7c00 }, (_, half) => {
      const exponent = half >>> 10
      const mantissa = half & 0x3ff
      return exponent === 0 ? mantissa * 2 ** -24 : (1 + mantissa / 1024) * 2 ** (exponent - 15)
    })
    const m = matrix(1, values.length, Float32Array.from(values))
    const back = decodeCandidates(encodeCandidates(m, 'float16'), {
      count: 1,
      dim: values.length,
      encoding: 'float16',
    })
    expect([...back.values]).toEqual(values)
  })

  it('other bytes are refused with what was expected', () => {
    const bytes = encodeCandidates(matrix(2, 2, Float32Array.of(1, 2, 3, 4)), 'int8')
    const shape = { count: 2, dim: 2, encoding: 'int8' } as const
    for (const [name, change] of [
      ['shape', () => bytes.slice(0, -1)],
      ['magic', () => bytes.with(0, 0)],
      ['version', () => bytes.with(4, 2)],
      ['encoding', () => bytes.with(5, 1)],
      ['rows', () => bytes.with(8, 3)],
    ] as const) {
      expect(() => decodeCandidates(change(), shape), name).toThrow(
        'expected 2 candidates of 2 dimensions as int8, got other bytes',
      )
    }
    const infinite = new Uint8Array(bytes)
    new DataView(infinite.buffer).setFloat32(16, Number.POSITIVE_INFINITY, true)
    expect(() => decodeCandidates(infinite, shape)).toThrow('expected candidates of finite values')
  })
})

describe('a manifest', () => {
  const manifest = exampleManifest()

  it('comes back from its bytes, which its hash names', () => {
    const bytes = manifestBytes(manifest)
    expect(parseManifest(bytes, sha256Hex(bytes))).toEqual(manifest)
    expect(() => parseManifest(bytes, '0'.repeat(64))).toThrow(
      /^expected a round manifest with sha256 0+, got other/,
    )
  })

  it.each([
    ['an unknown field', { more: 1 }, /one whose form is not/],
    [
      'another protocol',
      { protocol: 'pretext-federation/1' },
      /^expected a round manifest of pretext-federation\/2, got one of pretext-federation\/1$/,
    ],
    ['an unknown aggregation', { aggregation: { mode: 'hoping' } }, /one whose aggregation.mode is not/],
    ['another embedder than its hash', { embedderHash: '0'.repeat(64) }, /expected embedderHash to be that/],
    ['a deadline before it opens', { deadline: 0 }, /deadline after the opening/],
    [
      'seats without a target',
      { cohort: { minimum: 2, target: null, seats: 3 } },
      /target and seats together/,
    ],
    [
      'a target below the minimum',
      { cohort: { minimum: 9, target: 3, seats: 4 } },
      /minimum <= target <= seats/,
    ],
    ['labels of other candidates', { labels: { names: ['a'], of: [0] } }, /one label of the list for each/],
  ])('with %s is refused', (_, change, message) => {
    const bytes = manifestBytes({ ...manifest, ...change } as typeof manifest)
    expect(() => parseManifest(bytes)).toThrow(message)
  })

  it('bytes that are not JSON are refused and not quoted', () => {
    expect(() => parseManifest(new TextEncoder().encode('secret words'))).toThrow(/^(?!.*secret)/)
  })
})

it('base64url has one form', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(fromBase64Url(toBase64Url(bytes))).toEqual(bytes)
    }),
  )
  for (const bad of ['a', 'ab=', 'a b', 'AB', 'é']) expect(fromBase64Url(bad), bad).toBeUndefined()
})
