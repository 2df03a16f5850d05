// From the hidden states of a model to one unit vector per text: mean over its own tokens, then L2 norm 1.
import { type Matrix, matrix, row } from './matrix.ts'

/** Sums of the first `lengths[i]` states of each batch row (batch x tokens x dim): padding does not enter. */
export function sumStates(
  states: { readonly data: Float32Array; readonly dims: readonly number[] },
  lengths: readonly number[],
): Matrix {
  const [, tokens, dim] = states.dims as [number, number, number]
  const out = matrix(lengths.length, dim)
  for (const [i, length] of lengths.entries()) {
    // In 64 bits until all are in.
    const sum = new Float64Array(dim)
    for (let t = 0; t < length; t++) {
      const offset = (i * tokens + t) * dim
      for (let d = 0; d < dim; d++) sum[d] = (sum[d] as number) + (states.data[offset + d] as number)
    }
    row(out, i).set(sum)
  }
  return out
}

/** Copies a vector with its L2 norm made 1; a zero vector, which has no direction, becomes the first axis. */
export function normaliseInto(vector: Float64Array | Float32Array, out: Float32Array): void {
  let square = 0
  for (const value of vector) square += value * value
  if (square === 0) {
    out.fill(0)
    out[0] = 1
    return
  }
  const scale = 1 / Math.sqrt(square)
  for (let d = 0; d < out.length; d++) out[d] = (vector[d] as number) * scale
}
