// A vote on the wire: 16 random bytes, the number of candidates voted for, then for each the distance to the candidate
// before it and the steps, all as varints (LEB128). A vote has one form after the salt, and the salt makes the sha256 of
// an upload (kept for receipts when the vote is gone) tell nothing of the vote. Four candidates take 33 to 37 bytes.
import type { Vote } from '../../histogram/clip.ts'

export const SALT_BYTES = 16

/** Largest number on the wire: no honest vote comes near, and it is exact in 64-bit floats. */
const LARGEST = 2 ** 53 - 1

/** Candidates with no step are left out: they add nothing to the sum. */
export function encodeVote(vote: Vote, salt: Uint8Array): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError(`expected a salt of ${SALT_BYTES} bytes`)
  const out: number[] = [...salt]
  const named = vote.indices.flatMap((index, i) => {
    const steps = vote.steps[i] as bigint
    return steps === 0n ? [] : [{ index, steps }]
  })
  varint(BigInt(named.length), out)
  let previous = -1
  for (const { index, steps } of named) {
    varint(BigInt(index - previous - 1), out)
    varint(steps, out)
    previous = index
  }
  return Uint8Array.from(out)
}

/** Throws RangeError where the bytes are not the one form of a vote for fewer than `candidates` candidates. */
export function decodeVote(bytes: Uint8Array, candidates: number): Vote {
  const reader = { bytes, at: SALT_BYTES }
  const count = readVarint(reader)
  if (count > candidates) throw new RangeError('the vote names more candidates than there are')
  const indices: number[] = new Array(count)
  const steps: bigint[] = new Array(count)
  let previous = -1
  for (let i = 0; i < count; i++) {
    const index = readVarint(reader) + previous + 1
    if (index >= candidates) throw new RangeError('the vote names a candidate that there is not')
    const own = readVarint(reader)
    if (own === 0) throw new RangeError('the vote names a candidate with no step')
    previous = index
    indices[i] = index
    steps[i] = BigInt(own)
  }
  if (reader.at !== bytes.length) throw new RangeError('bytes are left over after the vote')
  return { indices, steps }
}

/** No vote for one of `candidates` candidates is longer. */
export function longestVote(candidates: number): number {
  return SALT_BYTES + 10 + candidates * 12
}

function varint(value: bigint, out: number[]): void {
  let rest = value
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  out.push(Number(rest))
}

function readVarint(reader: { readonly bytes: Uint8Array; at: number }): number {
  let value = 0
  for (let place = 1; place <= 2 ** 49; place *= 128) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined) throw new RangeError('the vote ends too early')
    value += (byte & 127) * place
    if (byte < 128) {
      if (byte === 0 && place > 1) throw new RangeError('a number is not in its shortest form')
      if (value > LARGEST) break
      return value
    }
  }
  throw new RangeError('a number is out of all bounds')
}
