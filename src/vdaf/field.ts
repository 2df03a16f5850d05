// Field64 and Field128 of the VDAF draft (section 6.1), and what an implementation of their arithmetic offers. A vector is
// its wire form: little-endian elements, one after another, each below the modulus; no other representation exists, so
// nothing is converted between the network, the XOF and the arithmetic. Polynomials are given by their values at the roots
// of unity (the draft's Lagrange basis).

/** Little-endian field elements, each below the modulus. */
export type Vector = Uint8Array

export interface FieldParameters {
  readonly name: 'Field64' | 'Field128'
  readonly modulus: bigint
  /** Bytes in an element. */
  readonly size: number
  /** Generates the multiplicative group of order 2^logOrder. */
  readonly generator: bigint
  readonly logOrder: number
}

/** No operation changes its arguments. `n` counts elements. Vectors of unequal length are a RangeError. */
export interface Field extends FieldParameters {
  /** Element by element. */
  add(a: Vector, b: Vector): Vector
  sub(a: Vector, b: Vector): Vector
  mul(a: Vector, b: Vector): Vector
  /** Whether every element is below the modulus. */
  isCanonical(a: Uint8Array): boolean
  /** The inner product of `weights` with each row of `rows`. */
  dot(rows: Vector, weights: Vector): Vector
  /** For each base its powers 1 to n. */
  powers(bases: Vector, n: number): Vector
  /** Weights whose inner product with n values of a polynomial is its value at t. */
  weights(t: Vector, n: number): Vector
  /** Rows of n values of polynomials of degree below n become rows of 2n values. */
  double(rows: Vector, n: number): Vector
  /** Rows of n: the sum over all pairs of rows of their products, element by element. */
  pairs(rows: Vector, n: number): Vector
  /**
   * The inputs of ParallelSum(Mul, chunk) that check for bits: row 2j is (seed, r_i^(j+1) x), row 2j + 1 is
   * (seed, x - constant), for the j-th element x of every chunk i, padded with zeros to `width`.
   */
  wires(x: Vector, joint: Vector, seeds: Vector, options: WireOptions): Vector
}

export interface WireOptions {
  readonly chunk: number
  readonly width: number
  readonly constant: Vector
}

export const FIELD64: FieldParameters = {
  name: 'Field64',
  modulus: 2n ** 64n - 2n ** 32n + 1n,
  size: 8,
  generator: power(7n, 2n ** 32n - 1n, 2n ** 64n - 2n ** 32n + 1n),
  logOrder: 32,
}

export const FIELD128: FieldParameters = {
  name: 'Field128',
  modulus: 2n ** 128n - 28n * 2n ** 64n + 1n,
  size: 16,
  generator: power(7n, 4611686018427387897n, 2n ** 128n - 28n * 2n ** 64n + 1n),
  logOrder: 66,
}

/** base^exponent mod modulus; for public numbers only. */
export function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (let e = exponent, b = base; e > 0n; e >>= 1n, b = (b * b) % modulus) {
    if (e & 1n) result = (result * b) % modulus
  }
  return result
}

/** Integers (negative ones too) as field elements; for public numbers and for sums, not for shares of one client. */
export function encode(field: FieldParameters, values: readonly (number | bigint)[]): Vector {
  const out = new Uint8Array(values.length * field.size)
  const view = new DataView(out.buffer)
  values.forEach((value, i) => {
    const big = BigInt(value) % field.modulus
    const element = big < 0n ? big + field.modulus : big
    for (let j = 0; j < field.size; j += 8) {
      view.setBigUint64(i * field.size + j, (element >> BigInt(8 * j)) & 0xffffffffffffffffn, true)
    }
  })
  return out
}

/** The integers of a vector, from 0 to the modulus. */
export function decode(field: FieldParameters, vector: Vector): bigint[] {
  const view = new DataView(vector.buffer, vector.byteOffset, vector.byteLength)
  return Array.from({ length: vector.length / field.size }, (_, i) => {
    let value = 0n
    for (let j = field.size - 8; j >= 0; j -= 8)
      value = (value << 64n) | view.getBigUint64(i * field.size + j, true)
    return value
  })
}

/** The n-th roots of unity w^0, w^1, ..., for n a power of two. Kept; not to be written to. */
export const rootsOfUnity = kept((field, n) => {
  const log = Math.log2(n)
  const root = power(field.generator, 2n ** BigInt(field.logOrder - log), field.modulus)
  const roots = [1n]
  while (roots.length < n) roots.push(((roots.at(-1) ?? 1n) * root) % field.modulus)
  return encode(field, roots)
})

/** 1 / n. Kept; not to be written to. */
export const inverse = kept((field, n) =>
  encode(field, [power(BigInt(n), field.modulus - 2n, field.modulus)]),
)

/** Public constants of a field are computed once. */
function kept(
  compute: (field: FieldParameters, n: number) => Vector,
): (field: FieldParameters, n: number) => Vector {
  const known = new Map<string, Vector>()
  return (field, n) => {
    const key = `${field.name} ${n}`
    const value = known.get(key) ?? compute(field, n)
    known.set(key, value)
    return value
  }
}

/** Elements `from` to `to` of a vector, not copied. */
export function slice(field: FieldParameters, vector: Vector, from: number, to?: number): Vector {
  return vector.subarray(from * field.size, to === undefined ? undefined : to * field.size)
}

/** The i-th block of `length` elements, not copied. */
export function block(field: FieldParameters, vector: Vector, i: number, length: number): Vector {
  return slice(field, vector, i * length, (i + 1) * length)
}

/** The smallest power of two that is at least n. */
export function nextPowerOfTwo(n: number): number {
  return 2 ** Math.ceil(Math.log2(n))
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
