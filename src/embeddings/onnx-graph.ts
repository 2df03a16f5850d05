// Parts of ONNX models in the wire format of Protocol Buffers, after onnx.proto (https://onnx.ai, IR version 8).
import { concatBytes } from '@noble/hashes/utils.js'

export type Bytes = Uint8Array
type Element = 'float32' | 'uint8' | 'int8' | 'int64'

export interface Constant {
  readonly name: string
  readonly type: Element
  readonly dims: readonly number[]
  readonly data: ArrayBufferView
}

export interface Node {
  readonly type: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, number>>
}

/** A name stands for a dimension that the call decides. */
export interface Value {
  readonly name: string
  readonly type: Element
  readonly dims: readonly (number | string)[]
}

export interface Graph {
  readonly name: string
  readonly nodes: readonly Node[]
  readonly constants: readonly Constant[]
  readonly inputs: readonly Value[]
  readonly outputs: readonly Value[]
}

/** Operators that are ONNX Runtime's own. */
export const MICROSOFT = 'com.microsoft'

/** TensorProto.DataType. */
const ELEMENT: Readonly<Record<Element, number>> = { float32: 1, uint8: 2, int8: 3, int64: 7 }

/** ModelProto. */
export function encodeModel(graph: Graph): Bytes {
  const opsets = [concatBytes(text(1, ''), integer(2, 13)), concatBytes(text(1, MICROSOFT), integer(2, 1))]
  return concatBytes(integer(1, 8), bytes(7, encodeGraph(graph)), ...opsets.map((opset) => bytes(8, opset)))
}

/**
 * The model with more nodes at its end, which may use what it computes, and more outputs. Parts of one message that are
 * written one after the other are one message (protobuf.dev, "Last One Wins"), so that the model need not be parsed.
 */
export function extendModel(model: Bytes, graph: Pick<Graph, 'nodes' | 'constants' | 'outputs'>): Bytes {
  return concatBytes(model, bytes(7, encodeGraph({ name: '', inputs: [], ...graph })))
}

/** GraphProto. */
function encodeGraph({ name, nodes, constants, inputs, outputs }: Graph): Bytes {
  return concatBytes(
    ...nodes.map((node) => bytes(1, encodeNode(node))),
    ...(name === '' ? [] : [text(2, name)]),
    ...constants.map((constant) => bytes(5, encodeConstant(constant))),
    ...inputs.map((input) => bytes(11, encodeValue(input))),
    ...outputs.map((output) => bytes(12, encodeValue(output))),
  )
}

/** NodeProto. */
function encodeNode({ type, domain = '', inputs, outputs, attributes = {} }: Node): Bytes {
  const given = Object.entries(attributes).map(([name, of]) =>
    bytes(5, concatBytes(text(1, name), integer(3, of), integer(20, 2))),
  )
  return concatBytes(
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, type),
    ...given,
    text(7, domain),
  )
}

/** TensorProto, with its values as they lie in memory (little-endian everywhere that ONNX Runtime runs). */
function encodeConstant({ name, type, dims, data }: Constant): Bytes {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return concatBytes(
    ...dims.map((dim) => integer(1, dim)),
    integer(2, ELEMENT[type]),
    text(8, name),
    bytes(9, raw),
  )
}

/** ValueInfoProto. */
function encodeValue({ name, type, dims }: Value): Bytes {
  const shape = dims.map((dim) => bytes(1, typeof dim === 'number' ? integer(1, dim) : text(2, dim)))
  const tensor = concatBytes(integer(1, ELEMENT[type]), bytes(2, concatBytes(...shape)))
  return concatBytes(text(1, name), bytes(2, bytes(1, tensor)))
}

function integer(field: number, value: number): Bytes {
  return Uint8Array.from([...varint(field * 8), ...varint(value)])
}

function text(field: number, value: string): Bytes {
  return bytes(field, new TextEncoder().encode(value))
}

function bytes(field: number, value: Bytes): Bytes {
  return concatBytes(Uint8Array.from([...varint(field * 8 + 2), ...varint(value.length)]), value)
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
