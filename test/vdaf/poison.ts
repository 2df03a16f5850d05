// Reports of dishonest clients: each attack makes one from an honest client's tools, and must end in a RejectedReport. Shared by
// the tests (some hundreds) and bench/vdaf.ts (1e5).

import type { Random } from '../../src/random.ts'
import { rangeBits } from '../../src/vdaf/circuits/bits.ts'
import { concat, decode, encode, type Vector } from '../../src/vdaf/field.ts'
import { flpLengths, prove } from '../../src/vdaf/flp.ts'
import { prio3MultihotCountVec, prio3MultihotCountVecWithMultiproof } from '../../src/vdaf/instances.ts'
import { jointRandSeed, jointRands } from '../../src/vdaf/joint-randomness.ts'
import { type MultihotVdafOptions, multihotVdaf } from '../../src/vdaf/multihot-vdaf.ts'
import type { Parameters } from '../../src/vdaf/parameters.ts'
import { RejectedReport } from '../../src/vdaf/rejection.ts'
import { type Sharded, shard } from '../../src/vdaf/shard.ts'

/** Bits that one report's client flips before it starts on another. */
const FLIPS = 40

export interface Report extends Sharded {
  readonly nonce: Uint8Array
}

/** How the two aggregators see a report. */
export interface Delivery {
  readonly report: Report
  /** What the helper is given in place of the leader's nonce or key. */
  readonly helper?: { readonly nonce?: Uint8Array; readonly verifyKey?: Uint8Array }
}

export function poisoner(
  options: MultihotVdafOptions,
  random: Random,
  context: Uint8Array = new TextEncoder().encode('poison'),
) {
  const vdaf = multihotVdaf(options)
  const { length, maxWeight, chunkLength } = vdaf
  const make = options.multiproof ? prio3MultihotCountVecWithMultiproof : prio3MultihotCountVec
  const parameters: Parameters = make({ length, maxWeight, chunkLength }).parameters
  const { field } = parameters.circuit
  const { modulus } = field
  const verifyKey = randomBytes(32)

  function randomBytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, () => random.integer(256))
  }
  const element = (): bigint => {
    for (;;) {
      const value = BigInt(`0x${Buffer.from(randomBytes(field.size)).toString('hex')}`)
      if (value < modulus) return value
    }
  }
  const places = (count: number): number[] =>
    random.sample(
      Array.from({ length }, (_, i) => i),
      count,
    )

  /** Shares any vector of field elements, with the honest algorithm. */
  function sharded(values: readonly bigint[]): Report {
    const nonce = randomBytes(16)
    return { nonce, ...shard(parameters, encode(field, values), { context, nonce, rand: randomBytes(128) }) }
  }
  /** A vector with these entries and, as its reported weight, `weight` written in bits as far as it can be. */
  function vector(entries: ReadonlyMap<number, bigint>, weight: number): bigint[] {
    const bits = rangeBits(Math.min(weight, maxWeight), maxWeight).map(BigInt)
    return [...Array.from({ length }, (_, i) => entries.get(i) ?? 0n), ...bits]
  }
  const ones = (at: readonly number[]): Map<number, bigint> => new Map(at.map((i) => [i, 1n]))
  function honest(): Report {
    const weight = random.integer(maxWeight + 1)
    return sharded(vector(ones(places(weight)), weight))
  }
  /** An invalid vector whose weight check holds: entries that are no bits, with a sum that can be reported. */
  function wrapped(): bigint[] {
    const at = places(2)
    const value = element() || 2n
    // value + (1 - value) = 1, modulo p.
    return vector(
      new Map([
        [at[0] ?? 0, value === 1n ? 2n : value],
        [at[1] ?? 1, (modulus + 1n - (value === 1n ? 2n : value)) % modulus],
      ]),
      1,
    )
  }
  const changed = (bytes: Uint8Array): Uint8Array => {
    const out = bytes.slice()
    const at = random.integer(out.length)
    out[at] = (out[at] ?? 0) ^ (1 << random.integer(8))
    return out
  }
  const withShares = (report: Report, leader?: Uint8Array, helper?: Uint8Array): Report => ({
    ...report,
    inputShares: [
      leader ?? report.inputShares[0] ?? new Uint8Array(0),
      helper ?? report.inputShares[1] ?? new Uint8Array(0),
    ],
  })
  const leaderOf = (report: Report): Uint8Array => report.inputShares[0] ?? new Uint8Array(0)
  const helperOf = (report: Report): Uint8Array => report.inputShares[1] ?? new Uint8Array(0)

  /**
   * The best a cheating prover can do without breaking a hash: it proves an invalid vector, and moves one value of each gadget
   * polynomial so that the outputs do sum to zero. Every check but the gadget test at the aggregators' secret point then holds.
   */
  function forged(): Report {
    const values = wrapped()
    const measurement = encode(field, values)
    const report = sharded(values)
    const seeds = [report.publicShare.slice(0, 32), report.publicShare.slice(32)]
    const joint = jointRands(parameters, context, jointRandSeed(parameters, context, seeds))
    const { arity } = parameters.circuit.gadget
    const { calls, jointRandLength, measurementLength } = parameters.circuit
    const proofLength = flpLengths(parameters.circuit).proof
    const leader = leaderOf(report).slice()
    for (let i = 0; i < parameters.proofs; i++) {
      const part = (v: Vector, n: number) => v.slice(i * n * field.size, (i + 1) * n * field.size)
      // With wire seeds of zero: at the calls, the polynomial does not depend on the seeds.
      const proof = decode(
        field,
        prove(
          parameters.circuit,
          measurement,
          new Uint8Array(arity * field.size),
          part(joint, jointRandLength),
        ),
      ).slice(arity)
      let sum = 0n
      for (let call = 1; call <= calls; call++) sum += proof[2 * call] ?? 0n
      const at = (measurementLength + i * proofLength + arity + 2) * field.size
      const old = leader.slice(at, at + field.size)
      leader.set(field.sub(old, encode(field, [sum])), at)
    }
    return withShares(report, leader)
  }
  // All flips of one report are at different bits, so that none undoes another.
  let flips = 0
  let piled: { report: Report; leader: Uint8Array; order: readonly number[] } | undefined
  const bitsOf = (report: Report): number[] =>
    Array.from({ length: 8 * leaderOf(report).length }, (_, i) => i)

  const attacks: Record<string, () => Delivery> = {
    'one entry is a random element': () => {
      const at = places(1)[0] ?? 0
      return { report: sharded(vector(new Map([[at, element() || 2n]]), 1)) }
    },
    'one entry is 2, reported as 2': () => ({
      report: sharded(vector(new Map([[places(1)[0] ?? 0, 2n]]), 2)),
    }),
    'p - 1 wraps around: entries p - 1, 1 and 1': () => {
      const at = places(3)
      const entries = new Map([modulus - 1n, 1n, 1n].map((value, i) => [at[i] ?? 0, value]))
      return { report: sharded(vector(entries, 1)) }
    },
    'random entries that sum to 1': () => ({ report: sharded(wrapped()) }),
    'every entry is random': () => ({
      report: sharded(Array.from({ length: parameters.circuit.measurementLength }, element)),
    }),
    'weight k + 1, reported as k': () => ({
      report: sharded(vector(ones(places(maxWeight + 1)), maxWeight)),
    }),
    'weight k + 1, reported with a bit of 2': () => {
      const values = vector(ones(places(maxWeight + 1)), maxWeight)
      const first = values.length - rangeBits(0, maxWeight).length
      values[first] = (values[first] ?? 0n) + 1n
      return { report: sharded(values) }
    },
    'every entry is 1': () => ({
      report: sharded(vector(ones(Array.from({ length }, (_, i) => i)), maxWeight)),
    }),
    'weight reported too small': () => ({ report: sharded(vector(ones(places(maxWeight)), maxWeight - 1)) }),
    'weight reported too large': () => ({ report: sharded(vector(ones(places(maxWeight - 1)), maxWeight)) }),
    'forged gadget polynomial': () => ({ report: forged() }),
    "another report's leader share": () => ({ report: withShares(honest(), leaderOf(honest())) }),
    "another report's helper share": () => ({ report: withShares(honest(), undefined, helperOf(honest())) }),
    "another report's public share": () => ({ report: { ...honest(), publicShare: honest().publicShare } }),
    'parts of the public share swapped': () => {
      const report = honest()
      const { publicShare } = report
      return { report: { ...report, publicShare: concat(publicShare.slice(32), publicShare.slice(0, 32)) } }
    },
    'one bit of the leader share flipped': () => {
      const report = honest()
      return { report: withShares(report, changed(leaderOf(report))) }
    },
    'one bit of the helper share flipped': () => {
      const report = honest()
      return { report: withShares(report, undefined, changed(helperOf(report))) }
    },
    'one bit of the public share flipped': () => {
      const report = honest()
      return { report: { ...report, publicShare: changed(report.publicShare) } }
    },
    'bit after bit flipped in one report, as its client sees it refused': () => {
      const round = flips++ % FLIPS
      if (round === 0) {
        const report = honest()
        piled = { report, leader: leaderOf(report).slice(), order: random.sample(bitsOf(report), FLIPS) }
      }
      const bit = piled?.order[round] ?? 0
      const { report = honest(), leader = new Uint8Array(0) } = piled ?? {}
      leader[bit >> 3] = (leader[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return { report: withShares(report, leader.slice()) }
    },
    'replayed under another nonce': () => ({ report: { ...honest(), nonce: randomBytes(16) } }),
    'aggregators disagree on the nonce': () => ({ report: honest(), helper: { nonce: randomBytes(16) } }),
    'aggregators disagree on the verify key': () => ({
      report: honest(),
      helper: { verifyKey: randomBytes(32) },
    }),
    'a message cut short': () => {
      const report = honest()
      return {
        report: withShares(report, leaderOf(report).slice(0, random.integer(leaderOf(report).length))),
      }
    },
    'a message with bytes behind': () => {
      const report = honest()
      return { report: withShares(report, undefined, concat(helperOf(report), randomBytes(1))) }
    },
    'an element at the modulus': () => {
      const report = honest()
      const leader = leaderOf(report).slice()
      leader.fill(255, 0, field.size)
      return { report: withShares(report, leader) }
    },
  }

  /** Runs both aggregators; whether the report would be counted. */
  function accepted({ report, helper = {} }: Delivery): boolean {
    const { nonce, publicShare } = report
    try {
      const both = report.inputShares.map((inputShare, aggregator) =>
        vdaf.verifyInit({
          verifyKey,
          context,
          nonce,
          publicShare,
          inputShare,
          aggregator,
          ...(aggregator === 1 ? helper : {}),
        }),
      )
      const message = vdaf.verifierSharesToMessage(
        context,
        both.map((one) => one.verifierShare),
      )
      for (const { state } of both) vdaf.verifyNext(state, message)
      return true
    } catch (error) {
      if (error instanceof RejectedReport) return false
      throw error
    }
  }

  return { vdaf, parameters, context, verifyKey, attacks, honest, accepted, forged }
}
