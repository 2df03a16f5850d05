// The ONNX models that score candidates: one matrix product whose right side is the candidates, and the best of each row
// (TopK). Written in the wire format of Protocol Buffers after onnx.proto (https://onnx.ai, IR version 8); the candidates
// are inside the model, because ONNX Runtime then lays them out for its kernels once and not in every call.
import {
  type Bytes,
  type Constant,
  encodeModel,
  MICROSOFT,
  type Node,
  type Value,
} from '../embeddings/onnx-graph.ts'

/** scores = scale * (queries - zero) x candidates * scales + bias, of 8-bit numbers summed exactly in 32-bit integers. */
export function int8Scoring(constants: {
  /** dim x candidates */
  readonly candidates: Int8Array
  readonly scales: Float32Array
  readonly bias: Float32Array
  readonly zero: number
}): Bytes {
  const { candidates, scales, bias, zero } = constants
  const rows = scales.length
  const dim = candidates.length / rows
  return model(
    {
      type: 'MatMulIntegerToFloat',
      domain: MICROSOFT,
      inputs: ['queries', 'candidates', 'scale', 'scales', 'zero', '', 'bias'],
      outputs: ['scores'],
    },
    [
      { name: 'queries', type: 'uint8', dims: ['n', dim] },
      { name: 'scale', type: 'float32', dims: [] },
    ],
    [
      { name: 'candidates', type: 'int8', dims: [dim, rows], data: candidates },
      { name: 'scales', type: 'float32', dims: [rows], data: scales },
      { name: 'zero', type: 'uint8', dims: [], data: Uint8Array.of(zero) },
      { name: 'bias', type: 'float32', dims: [rows], data: bias },
    ],
  )
}

/** `product` makes `scores`. */
function model(product: Node, inputs: readonly Value[], constants: readonly Constant[]): Bytes {
  const scores: Value = { name: 'scores', type: 'float32', dims: ['n', 'candidates'] }
  return encodeModel({ name: 'scores', nodes: [product], constants, inputs, outputs: [scores] })
}
