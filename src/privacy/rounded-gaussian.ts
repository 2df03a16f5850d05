// Exact rounded Gaussian: round(sigma * Z) for a standard normal Z and a rational sigma, with integers only.
// Karney, "Sampling exactly from the normal distribution" (ACM TOMS 42, 2016), Algorithms N, H and B, on uniforms whose
// 32-bit digits are drawn when a comparison needs them, so that no probability is ever rounded.
//
// Why this is private: for an integer sum f, f + round(sigma Z) = round(f + sigma Z). Rounding is post-processing of the
// real-valued Gaussian mechanism, so the tight analytic epsilon holds, in any dimension. Floating-point noise has no such
// argument: its outputs betray the input by the values that they cannot take (Mironov 2012).
import { type PrivateRandom, uniformBelow } from './private-random.ts'

/** numerator / denominator, both positive integers. */
export interface Rational {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** A uniform number in (0, 1), known to as many base 2^32 digits as were asked for. */
class LazyUniform {
  readonly digits: number[] = []
  readonly #random: PrivateRandom

  constructor(random: PrivateRandom) {
    this.#random = random
  }

  digit(i: number): number {
    while (this.digits.length <= i) this.digits.push(this.#random.word())
    return this.digits[i] as number
  }

  lessThan(other: LazyUniform): boolean {
    for (let i = 0; ; i++) {
      const difference = this.digit(i) - other.digit(i)
      if (difference !== 0) return difference < 0
    }
  }

  lessThanHalf(): boolean {
    return this.digit(0) < 2 ** 31
  }
}

/** Algorithm H: true with probability exp(-1/2). */
function bernoulliExpHalf(random: PrivateRandom): boolean {
  let previous = new LazyUniform(random)
  if (!previous.lessThanHalf()) return true
  for (let even = false; ; even = !even) {
    const next = new LazyUniform(random)
    if (!next.lessThan(previous)) return even
    previous = next
  }
}

/** Algorithm B: true with probability exp(-x (2k + x) / (2k + 2)). */
function bernoulliB(random: PrivateRandom, k: number, x: LazyUniform): boolean {
  const m = 2 * k + 2
  let y = x
  for (let n = 0; ; n++) {
    const z = new LazyUniform(random)
    if (!z.lessThan(y)) return n % 2 === 0
    // One step goes on with probability (2k + x) / m: surely in m - 2 of m cases, never in one, with probability x in one.
    const choice = uniformBelow(random, m)
    if (choice === 0) return n % 2 === 0
    if (choice === 1 && !new LazyUniform(random).lessThan(x)) return n % 2 === 0
    y = z
  }
}

/** Algorithm N: |Z| = k + x. */
function halfNormal(random: PrivateRandom): { k: number; x: LazyUniform } {
  for (;;) {
    let k = 0
    while (bernoulliExpHalf(random)) k++
    let accepted = true
    for (let i = 0; accepted && i < k * (k - 1); i++) accepted = bernoulliExpHalf(random)
    if (!accepted) continue
    const x = new LazyUniform(random)
    for (let i = 0; accepted && i <= k; i++) accepted = bernoulliB(random, k, x)
    if (accepted) return { k, x }
  }
}

/** round(sigma * (k + x)), asking x for digits until both ends of its interval round to the same integer. */
function scaleAndRound(sigma: Rational, k: number, x: LazyUniform): bigint {
  let fraction = 0n
  let unit = 1n
  for (let i = 0; ; i++) {
    fraction = (fraction << 32n) | BigInt(x.digit(i))
    unit <<= 32n
    const divisor = 2n * sigma.denominator * unit
    const half = sigma.denominator * unit
    const low = (2n * sigma.numerator * (BigInt(k) * unit + fraction) + half) / divisor
    const high = (2n * sigma.numerator * (BigInt(k) * unit + fraction + 1n) + half - 1n) / divisor
    if (low === high) return low
  }
}

/** One draw of round(sigma * Z). Time depends on the value drawn: draw before, and apart from, what it is added to. */
export function roundedGaussian(sigma: Rational, random: PrivateRandom): bigint {
  if (sigma.numerator <= 0n || sigma.denominator <= 0n) {
    throw new RangeError('expected a positive rational sigma')
  }
  const { k, x } = halfNormal(random)
  const magnitude = scaleAndRound(sigma, k, x)
  return (random.word() & 1) === 1 ? -magnitude : magnitude
}

const GRID = 1024

/** The smallest multiple of 1/1024 that is not below `value`: sigma rounded toward more noise. */
export function rationalAtLeast(value: number): Rational {
  if (!(value > 0 && value < 2 ** 42)) {
    throw new RangeError(`expected a positive sigma below 2^42, got ${value}`)
  }
  // value * GRID is exact (a power of two), so ceil is too.
  return { numerator: BigInt(Math.ceil(value * GRID)), denominator: BigInt(GRID) }
}
