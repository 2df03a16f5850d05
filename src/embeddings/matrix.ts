// A dense row-major matrix of 32-bit floats: the one shape in which embeddings travel.

export interface Matrix {
  /** Row-major values, `rows * dim` of them. */
  readonly values: Float32Array
  readonly rows: number
  readonly dim: number
}

export function matrix(
  rows: number,
  dim: number,
  values: Float32Array = new Float32Array(rows * dim),
): Matrix {
  if (values.length !== rows * dim) {
    throw new RangeError(`expected ${rows} x ${dim} = ${rows * dim} values, got ${values.length}`)
  }
  return { values, rows, dim }
}

/** A view of one row (no copy). */
export function row(m: Matrix, index: number): Float32Array {
  return m.values.subarray(index * m.dim, (index + 1) * m.dim)
}

/** A view of `count` rows from `start` (no copy). */
export function rowRange(m: Matrix, start: number, count: number): Matrix {
  return matrix(count, m.dim, m.values.subarray(start * m.dim, (start + count) * m.dim))
}

/** The rows at `indices`, copied. */
export function gatherRows(m: Matrix, indices: readonly number[]): Matrix {
  const out = matrix(indices.length, m.dim)
  indices.forEach((index, i) => {
    out.values.set(row(m, index), i * m.dim)
  })
  return out
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
