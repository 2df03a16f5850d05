// A vote on the wire: the number of candidates voted for, then for each the distance to the candidate before it and the
// steps, all as varints (LEB128). One vote has one form, so that two uploads of the same vote are the same bytes. A vote
// for 4 candidates takes 17 to 21 bytes.
import type { Vote } from '../../histogram/clip.ts'

/** Largest varint: no honest vote comes near, and sums of squares stay far inside what can be stored. */
const LARGEST_STEPS = 1n << 56n

export function encodeVote(vote: Vote): Uint8Array {
  const out: number[] = []
  varint(BigInt(vote.indices.length), out)
  let previous = -1
  vote.indices.forEach((index, i) => {
    varint(BigInt(index - previous - 1), out)
    varint(vote.steps[i] as bigint, out)
    previous = index
  })
  return Uint8Array.from(out)
}

/** Throws RangeError where the bytes are not the one form of a vote for fewer than `candidates` candidates. */
export function decodeVote(bytes: Uint8Array, candidates: number): Vote {
  const reader = { bytes, at: 0 }
  const count = readVarint(reader)
  if (count > BigInt(candidates)) throw new RangeError('the vote names more candidates than there are')
  const indices: number[] = []
  const steps: bigint[] = []
  let previous = -1
  for (let i = 0; i < Number(count); i++) {
    const index = readVarint(reader) + BigInt(previous + 1)
    if (index >= BigInt(candidates)) throw new RangeError('the vote names a candidate that there is not')
    const own = readVarint(reader)
    if (own > LARGEST_STEPS) throw new RangeError('the vote has a number of steps out of all bounds')
    previous = Number(index)
    indices.push(previous)
    steps.push(own)
  }
  if (reader.at !== bytes.length) throw new RangeError('bytes are left over after the vote')
  return { indices, steps }
}

/** No vote for one of `candidates` candidates is longer. */
export function longestVote(candidates: number): number {
  return 10 + candidates * 12
}

function varint(value: bigint, out: number[]): void {
  let rest = value
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  out.push(Number(rest))
}

function readVarint(reader: { readonly bytes: Uint8Array; at: number }): bigint {
  let value = 0n
  for (let shift = 0n; shift <= 56n; shift += 7n) {
    const byte = reader.bytes[reader.at++]
    if (byte === undefined) throw new RangeError('the vote ends too early')
    value |= BigInt(byte & 127) << shift
    if (byte < 128) {
      if (byte === 0 && shift > 0n) throw new RangeError('a number is not in its shortest form')
      return value
    }
  }
  throw new RangeError('a number is out of all bounds')
}
