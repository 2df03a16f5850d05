// From the hidden states of a model to one unit vector per text: mean over its own tokens, then L2 norm 1.
import type { Matrix } from './matrix.ts'
import { row } from './matrix.ts'

/**
 * Writes the unit-norm mean of the first `tokens` states of batch row `batchRow` into row `target` of `out`. Padding
 * does not enter; sums are taken in 64 bits.
 */
export function poolMean(
  states: { readonly data: Float32Array; readonly dims: readonly number[] },
  batchRow: number,
  tokens: number,
  out: Matrix,
  target: number,
): void {
  const length = states.dims[1] as number
  const { dim } = out
  const sum = new Float64Array(dim)
  for (let t = 0; t < tokens; t++) {
    const offset = (batchRow * length + t) * dim
    for (let d = 0; d < dim; d++) sum[d] = (sum[d] as number) + (states.data[offset + d] as number)
  }
  normaliseInto(sum, row(out, target))
}

/** Copies a vector with its L2 norm made 1; a zero vector, which has no direction, becomes the first axis. */
export function normaliseInto(vector: Float64Array, out: Float32Array): void {
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
