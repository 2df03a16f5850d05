// The ONNX models that score candidates: one matrix product whose right side is the candidates, and the best of each row
// (TopK). Written in the wire format of Protocol Buffers after onnx.proto (https://onnx.ai, IR version 8); the candidates
// are inside the model, because ONNX Runtime then lays them out for its kernels once and not in every call.

type Bytes = Uint8Array
type Element = 'float32' | 'uint8' | 'int8' | 'int64'

export interface Constant {
  readonly name: string
  readonly type: Element
  readonly dims: readonly number[]
  readonly data: ArrayBufferView
}

interface Node {
  readonly type: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, number>>
}

/** TensorProto.DataType. */
const ELEMENT: Readonly<Record<Element, number>> = { float32: 1, uint8: 2, int8: 3, int64: 7 }
const MICROSOFT = 'com.microsoft'

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
    [value('queries', 'uint8', ['n', dim]), value('scale', 'float32', [])],
    [
      { name: 'candidates', type: 'int8', dims: [dim, rows], data: candidates },
      { name: 'scales', type: 'float32', dims: [rows], data: scales },
      { name: 'zero', type: 'uint8', dims: [], data: Uint8Array.of(zero) },
      { name: 'bias', type: 'float32', dims: [rows], data: bias },
    ],
  )
}

/** ModelProto: `product` makes `scores`. */
function model(product: Node, inputs: readonly Bytes[], constants: readonly Constant[]): Bytes {
  const graph = [
    bytes(1, encodeNode(product)),
    text(2, 'scores'),
    ...constants.map((constant) => bytes(5, encodeConstant(constant))),
    ...inputs.map((input) => bytes(11, input)),
    bytes(12, value('scores', 'float32', ['n', 'candidates'])),
  ]
  const opsets = [join([text(1, ''), integer(2, 13)]), join([text(1, MICROSOFT), integer(2, 1)])]
  return join([integer(1, 8), bytes(7, join(graph)), ...opsets.map((opset) => bytes(8, opset))])
}

/** NodeProto. */
function encodeNode({ type, domain = '', inputs, outputs, attributes = {} }: Node): Bytes {
  const given = Object.entries(attributes).map(([name, of]) =>
    bytes(5, join([text(1, name), integer(3, of), integer(20, 2)])),
  )
  return join([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, type),
    ...given,
    text(7, domain),
  ])
}

/** TensorProto, with its values as they lie in memory (little-endian everywhere that ONNX Runtime runs). */
function encodeConstant({ name, type, dims, data }: Constant): Bytes {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return join([
    ...dims.map((dim) => integer(1, dim)),
    integer(2, ELEMENT[type]),
    text(8, name),
    bytes(9, raw),
  ])
}

/** ValueInfoProto; a name stands for a dimension that the call decides. */
function value(name: string, type: Element, dims: readonly (number | string)[]): Bytes {
  const shape = dims.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)))
  const tensor = join([integer(1, ELEMENT[type]), bytes(2, join(shape))])
  return join([text(1, name), bytes(2, bytes(1, tensor))])
}

function integer(field: number, value: number): Bytes {
  return Uint8Array.from([...varint(field * 8), ...varint(value)])
}

function text(field: number, value: string): Bytes {
  return bytes(field, new TextEncoder().encode(value))
}

function bytes(field: number, value: Bytes): Bytes {
  return join([Uint8Array.from([...varint(field * 8 + 2), ...varint(value.length)]), value])
}

function varint(value: number): number[] {
  const out: number[] = []
  let rest = value
  while (rest >= 128) {
    out.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return [...out, rest]
}

function join(parts: readonly Bytes[]): Bytes {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
