// Half-precision floats as their 16 bits, which JavaScript has no type for on Node 20.
const one = new Float32Array(1)
const bits = new Uint32Array(one.buffer)

/** IEEE 754 binary16, to nearest, ties to even. */
export function toHalf(value: number): number {
  one[0] = value
  const word = bits[0] as number
  const sign = (word >>> 16) & 0x8000
  const exponent = ((word >>> 23) & 0xff) - 112
  const mantissa = word & 0x7fffff
  if (exponent >= 31) return sign | 0x7c00
  if (exponent <= 0) {
    if (exponent < -10) return sign
    const full = mantissa | 0x800000
    return sign | roundedShift(full, 14 - exponent)
  }
  // A carry out of the mantissa moves into the exponent, which is what rounding up should do.
  return sign | ((exponent << 10) + roundedShift(mantissa, 13))
}

function roundedShift(value: number, shift: number): number {
  const low = value & ((1 << shift) - 1)
  const half = 1 << (shift - 1)
  const up = value >>> shift
  return low > half || (low === half && (up & 1) === 1) ? up + 1 : up
}

export function fromHalf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 31
  const mantissa = half & 0x3ff
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15)
}
