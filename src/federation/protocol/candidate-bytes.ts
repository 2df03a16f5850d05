// Candidates on the wire: their embeddings, content-addressed, the same bytes for every client (a CDN can keep them).
// int8 with one scale for each row is a quarter of float32. What it changes of the votes is in docs/federation.md.
//
//   "PTXC" | version 1 | encoding 0 = int8, 1 = float16 | 2 zero bytes | rows u32 | dim u32      (little-endian)
//   int8:    rows x float32 scale, rows x dim int8, value = int8 x scale
//   float16: rows x dim float16
import { type Matrix, matrix } from '../../embeddings/matrix.ts'
import { PretextError } from '../../errors.ts'
import { fromHalf, toHalf } from '../../half.ts'

export type CandidateEncoding = 'int8' | 'float16'

const HEADER = 16
const MAGIC = 0x43585450

export function encodeCandidates(candidates: Matrix, encoding: CandidateEncoding): Uint8Array {
  const { rows, dim, values } = candidates
  const body = encoding === 'int8' ? rows * (4 + dim) : rows * dim * 2
  const bytes = new Uint8Array(HEADER + body)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC, true)
  view.setUint8(4, 1)
  view.setUint8(5, encoding === 'int8' ? 0 : 1)
  view.setUint32(8, rows, true)
  view.setUint32(12, dim, true)
  if (encoding === 'float16') {
    values.forEach((value, i) => {
      view.setUint16(HEADER + 2 * i, toHalf(value), true)
    })
    return bytes
  }
  for (let r = 0; r < rows; r++) {
    const own = values.subarray(r * dim, (r + 1) * dim)
    const scale = Math.fround(own.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127)
    view.setFloat32(HEADER + 4 * r, scale, true)
    own.forEach((value, d) => {
      const step = scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(value / scale)))
      view.setInt8(HEADER + 4 * rows + r * dim + d, step)
    })
  }
  return bytes
}

/** Throws PretextError `data` where the bytes are not `rows` candidates of `dim` dimensions in this encoding. */
export function decodeCandidates(
  bytes: Uint8Array,
  expected: { readonly count: number; readonly dim: number; readonly encoding: CandidateEncoding },
): Matrix {
  const { count: rows, dim, encoding } = expected
  const size = HEADER + (encoding === 'int8' ? rows * (4 + dim) : rows * dim * 2)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fits =
    bytes.length === size &&
    view.getUint32(0, true) === MAGIC &&
    view.getUint8(4) === 1 &&
    view.getUint8(5) === (encoding === 'int8' ? 0 : 1) &&
    view.getUint16(6, true) === 0 &&
    view.getUint32(8, true) === rows &&
    view.getUint32(12, true) === dim
  if (!fits) throw broken(`expected ${rows} candidates of ${dim} dimensions as ${encoding}, got other bytes`)
  const values = new Float32Array(rows * dim)
  if (encoding === 'float16') {
    for (let i = 0; i < values.length; i++) values[i] = fromHalf(view.getUint16(HEADER + 2 * i, true))
  } else {
    for (let r = 0; r < rows; r++) {
      const scale = view.getFloat32(HEADER + 4 * r, true)
      const start = HEADER + 4 * rows + r * dim
      for (let d = 0; d < dim; d++) values[r * dim + d] = view.getInt8(start + d) * scale
    }
  }
  if (!values.every(Number.isFinite)) throw broken('expected candidates of finite values, got others')
  return matrix(rows, dim, values)
}

function broken(message: string): PretextError {
  return new PretextError(message, {
    code: 'data',
    hint: 'the coordinator runs another version of the protocol, or something on the way changed its answer',
  })
}
