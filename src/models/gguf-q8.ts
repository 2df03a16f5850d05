// A GGUF file with its 4-bit matrices (Q4_1) as 8-bit ones (Q8_0). llama.cpp multiplies many tokens at once with Q8_0 two
// times as fast as with Q4_1 (bench/llm.ts), and nothing is lost that shows: the 16 values of a 4-bit block are met to a
// seventeenth of the distance between them. The header keeps its size: only types and offsets change in it.
// Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md
import { fromHalf, toHalf } from '../half.ts'

/** Values of a block, and its bytes. Q4_1: scale, least value, 16 bytes of two values each. Q8_0: scale, 32 values. */
const BLOCK = 32
const Q4_1 = { type: 3, bytes: 20 }
const Q8_0 = { type: 8, bytes: 34 }
const F32 = { type: 0, bytes: 4 * BLOCK }
const F16 = { type: 1, bytes: 2 * BLOCK }
const KNOWN = [Q4_1, Q8_0, F32, F16]
const ALIGNMENT = 32
/** As general.file_type. */
const MOSTLY_Q8_0 = 7

/**
 * The bytes of a GGUF file (version 3, little-endian, tensors of F32, F16, Q4_1 and Q8_0), with Q8_0 in the place of Q4_1:
 * for each block what llama.cpp's own quantiser makes of its values.
 * @throws Error where the file is another one
 */
export function withQ8(gguf: Uint8Array): Uint8Array {
  const view = new DataView(gguf.buffer, gguf.byteOffset, gguf.byteLength)
  const { tensors, dataStart, fileTypeAt } = readHeader(view)
  let size = dataStart
  const places = tensors.map((tensor) => {
    const offset = size - dataStart
    const { bytes } = tensor.format === Q4_1 ? Q8_0 : tensor.format
    size = aligned(size + tensor.blocks * bytes)
    return offset
  })
  const made = new Uint8Array(size)
  made.set(gguf.subarray(0, dataStart))
  const target = new DataView(made.buffer)
  if (fileTypeAt !== undefined) target.setUint32(fileTypeAt, MOSTLY_Q8_0, true)
  tensors.forEach(({ infoAt, format, offset, blocks }, i) => {
    const place = places[i] as number
    const from = dataStart + offset
    target.setBigUint64(infoAt + 4, BigInt(place), true)
    if (format === Q4_1) {
      target.setUint32(infoAt, Q8_0.type, true)
      for (let block = 0; block < blocks; block++) {
        rewriteBlock(view, from + block * Q4_1.bytes, target, dataStart + place + block * Q8_0.bytes)
      }
    } else made.set(gguf.subarray(from, from + blocks * format.bytes), dataStart + place)
  })
  return made
}

const values = new Float32Array(BLOCK)

function rewriteBlock(source: DataView, from: number, target: DataView, to: number): void {
  const scale = fromHalf(source.getUint16(from, true))
  const least = fromHalf(source.getUint16(from + 2, true))
  let most = 0
  for (let i = 0; i < BLOCK / 2; i++) {
    const pair = source.getUint8(from + 4 + i)
    values[i] = (pair & 15) * scale + least
    values[i + BLOCK / 2] = (pair >>> 4) * scale + least
    most = Math.max(most, Math.abs(values[i] as number), Math.abs(values[i + BLOCK / 2] as number))
  }
  const step = Math.fround(most / 127)
  const inverse = step === 0 ? 0 : Math.fround(1 / step)
  target.setUint16(to, toHalf(step), true)
  for (let i = 0; i < BLOCK; i++) {
    const scaled = Math.fround((values[i] as number) * inverse)
    // Halves away from zero, as C's roundf.
    target.setInt8(to + 2 + i, Math.sign(scaled) * Math.floor(Math.abs(scaled) + 0.5))
  }
}

interface Tensor {
  /** Where its type stands in the header; its offset follows. */
  readonly infoAt: number
  readonly format: { readonly type: number; readonly bytes: number }
  readonly blocks: number
  readonly offset: number
}

interface Header {
  readonly tensors: readonly Tensor[]
  readonly dataStart: number
  /** Where the value of general.file_type stands, if it is there. */
  readonly fileTypeAt: number | undefined
}

function readHeader(view: DataView): Header {
  if (view.getUint32(0, true) !== 0x46554747 || view.getUint32(4, true) !== 3) {
    throw new Error('expected a GGUF file of version 3')
  }
  let at = 8
  const count = () => {
    at += 8
    return Number(view.getBigUint64(at - 8, true))
  }
  const word = () => {
    at += 4
    return view.getUint32(at - 4, true)
  }
  const string = () => {
    const length = count()
    at += length
    return Buffer.from(view.buffer, view.byteOffset + at - length, length)
  }
  /** Sizes of the scalar types, by their numbers; 8 is a string and 9 an array. */
  const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8]
  const skipValue = (type: number) => {
    if (type === 8) string()
    else if (type === 9) {
      const element = word()
      for (let left = count(); left > 0; left--) skipValue(element)
    } else at += sizes[type] as number
  }
  const tensorCount = count()
  let fileTypeAt: number | undefined
  for (let left = count(); left > 0; left--) {
    const key = string().toString()
    const type = word()
    if (key === 'general.file_type') fileTypeAt = at
    skipValue(type)
  }
  const tensors = Array.from({ length: tensorCount }, () => {
    string()
    const elements = Array.from({ length: word() }, count).reduce((product, length) => product * length, 1)
    const infoAt = at
    const type = word()
    const format = KNOWN.find((known) => known.type === type)
    if (format === undefined)
      throw new Error(`expected tensors of F32, F16, Q4_1 or Q8_0, got one of type ${type}`)
    return { infoAt, format, blocks: elements / BLOCK, offset: count() }
  })
  return { tensors, dataStart: aligned(at), fileTypeAt }
}

function aligned(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT
}
