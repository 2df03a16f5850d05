// The arithmetic of a field in BigInt, written as the definitions read, quadratic where they are. It is slow and its time
// depends on the values: it exists to hold the kernel to account (test/vdaf/field.test.ts), not to run on a vote.
import {
  decode,
  encode,
  type Field,
  type FieldParameters,
  power,
  rootsOfUnity,
  type Vector,
} from './field.ts'

export function referenceField(parameters: FieldParameters): Field {
  const p = parameters.modulus
  const mod = (x: bigint): bigint => ((x % p) + p) % p
  const values = (a: Vector): bigint[] => decode(parameters, a)
  const vector = (a: readonly bigint[]): Vector => encode(parameters, a)
  const rowsOf = (a: Vector, n: number): bigint[][] => {
    const all = values(a)
    return Array.from({ length: all.length / n }, (_, row) => all.slice(row * n, (row + 1) * n))
  }
  const each = (a: Vector, b: Vector, f: (x: bigint, y: bigint) => bigint): Vector => {
    if (a.length !== b.length)
      throw new RangeError(`expected vectors of one length, got ${a.length} and ${b.length} bytes`)
    const right = values(b)
    return vector(values(a).map((x, i) => mod(f(x, right[i] ?? 0n))))
  }
  const inner = (a: readonly bigint[], b: readonly bigint[]): bigint =>
    a.reduce((sum, x, i) => mod(sum + x * (b[i] ?? 0n)), 0n)
  /** Lagrange weights of the nodes at t: products of (t - x_j) / (x_i - x_j). */
  const lagrange = (nodes: readonly bigint[], t: bigint): bigint[] =>
    nodes.map((x, i) => {
      const others = nodes.filter((_, j) => j !== i)
      const above = others.reduce((product, y) => mod(product * (t - y)), 1n)
      const below = others.reduce((product, y) => mod(product * (x - y)), 1n)
      return mod(above * power(below, p - 2n, p))
    })
  const roots = (n: number): bigint[] => values(rootsOfUnity(parameters, n))

  return {
    ...parameters,
    add: (a, b) => each(a, b, (x, y) => x + y),
    sub: (a, b) => each(a, b, (x, y) => x - y),
    mul: (a, b) => each(a, b, (x, y) => x * y),
    isCanonical: (a) => values(a).every((x) => x < p),
    dot(rows, weights) {
      const right = values(weights)
      if (rows.length % weights.length !== 0)
        throw new RangeError(`expected rows of ${weights.length} bytes, got ${rows.length} bytes`)
      return vector(rowsOf(rows, right.length).map((row) => inner(row, right)))
    },
    powers: (bases, n) =>
      vector(
        values(bases).flatMap((base) => Array.from({ length: n }, (_, j) => power(base, BigInt(j + 1), p))),
      ),
    weights: (t, n) => vector(lagrange(roots(n), values(t)[0] ?? 0n)),
    double(rows, n) {
      const to = roots(2 * n).map((t) => lagrange(roots(n), t))
      return vector(rowsOf(rows, n).flatMap((row) => to.map((weights) => inner(row, weights))))
    },
    pairs(rows, n) {
      const all = rowsOf(rows, n)
      return vector(
        Array.from({ length: n }, (_, i) => {
          let sum = 0n
          for (let j = 0; j < all.length; j += 2) sum += (all[j]?.[i] ?? 0n) * (all[j + 1]?.[i] ?? 0n)
          return mod(sum)
        }),
      )
    },
    wires(x, joint, seeds, { chunk, width, constant }) {
      const elements = values(x)
      const random = values(joint)
      const [shift = 0n] = values(constant)
      const calls = Math.ceil(elements.length / chunk)
      const rows = values(seeds).map((seed) => [seed, ...new Array<bigint>(width - 1).fill(0n)])
      for (let i = 0; i < calls; i++) {
        for (let j = 0; j < chunk; j++) {
          const element = elements[i * chunk + j] ?? 0n
          const factor = power(random[i] ?? 0n, BigInt(j + 1), p)
          rows[2 * j]?.splice(i + 1, 1, mod(factor * element))
          rows[2 * j + 1]?.splice(i + 1, 1, mod(element - shift))
        }
      }
      return vector(rows.flat())
    },
  }
}
