// Field128 of the VDAF draft (section 6.1): p = 2^128 - 28 * 2^64 + 1. Elements are sixteen little-endian bytes, always
// below p. With B = 2^64: B^2 = 28 B - 1 (mod p), so a product folds with multiplications by small constants alone.
// No branch and no address depends on a value: carries are comparisons, choices are masks.

export const SIZE: usize = 16
// p = P1 * B + 1.
const P1: u64 = 0xffffffffffffffe4
const LOW: u64 = 0xffffffff

// @ts-ignore: decorator
@inline
function high(a: u64, b: u64): u64 {
  const a0 = a & LOW
  const a1 = a >> 32
  const b0 = b & LOW
  const b1 = b >> 32
  const cross = a1 * b0 + ((a0 * b0) >> 32)
  const middle = a0 * b1 + (cross & LOW)
  return a1 * b1 + (cross >> 32) + (middle >> 32)
}

// The upper limb of a * small, for small < 2^32.
// @ts-ignore: decorator
@inline
function highSmall(a: u64, small: u64): u64 {
  return ((a >> 32) * small + (((a & LOW) * small) >> 32)) >> 32
}

// Stores (hi, lo) or (hi, lo) - p; `carry` stands for another 2^128 above.
// @ts-ignore: decorator
@inline
function storeReduced(out: usize, hi: u64, lo: u64, carry: u64): void {
  const borrow = u64(lo == 0)
  const above = u64(hi > P1) | (u64(hi == P1) & (borrow ^ 1))
  const mask = -(above | carry)
  store<u64>(out, lo - (1 & mask))
  store<u64>(out, hi - ((P1 + borrow) & mask), 8)
}

export function isCanonical(a: usize): u64 {
  const hi = load<u64>(a, 8)
  return u64(hi < P1) | (u64(hi == P1) & u64(load<u64>(a) == 0))
}

export function clear(out: usize): void {
  store<u64>(out, 0)
  store<u64>(out, 0, 8)
}

export function one(out: usize): void {
  store<u64>(out, 1)
  store<u64>(out, 0, 8)
}

export function copy(out: usize, a: usize): void {
  store<u64>(out, load<u64>(a))
  store<u64>(out, load<u64>(a, 8), 8)
}

export function add(out: usize, a: usize, b: usize): void {
  const a0 = load<u64>(a)
  const a1 = load<u64>(a, 8)
  const lo = a0 + load<u64>(b)
  const c0 = u64(lo < a0)
  const part = a1 + load<u64>(b, 8)
  const hi = part + c0
  storeReduced(out, hi, lo, u64(part < a1) | u64(hi < part))
}

export function sub(out: usize, a: usize, b: usize): void {
  const a0 = load<u64>(a)
  const a1 = load<u64>(a, 8)
  const b0 = load<u64>(b)
  const b1 = load<u64>(b, 8)
  const lo = a0 - b0
  const borrow = u64(a0 < b0)
  const hi = a1 - b1 - borrow
  const mask = -(u64(a1 < b1) | (u64(a1 == b1) & borrow))
  const r0 = lo + (1 & mask)
  store<u64>(out, r0)
  store<u64>(out, hi + (P1 & mask) + (u64(r0 < lo) & mask), 8)
}

export function mul(out: usize, a: usize, b: usize): void {
  const a0 = load<u64>(a)
  const a1 = load<u64>(a, 8)
  const b0 = load<u64>(b)
  const b1 = load<u64>(b, 8)
  // The 256-bit product t3..t0.
  const t0 = a0 * b0
  const h00 = high(a0, b0)
  const l01 = a0 * b1
  const l10 = a1 * b0
  const l11 = a1 * b1
  let t1 = h00 + l01
  let c = u64(t1 < h00)
  t1 += l10
  c += u64(t1 < l10)
  const h01 = high(a0, b1)
  const h10 = high(a1, b0)
  let t2 = h01 + h10
  let d = u64(t2 < h01)
  t2 += l11
  d += u64(t2 < l11)
  t2 += c
  d += u64(t2 < c)
  const t3 = high(a1, b1) + d
  // product = t0 - (t2 + 28 t3) + B (t1 + 28 t2 + 783 t3)  (mod p)
  //         = t0 - w            + B v.
  const x0 = t3 * 28
  const w0 = t2 + x0
  const w1 = highSmall(t3, 28) + u64(w0 < x0)
  const y0 = t2 * 28
  const z0 = t3 * 783
  let v0 = t1 + y0
  let v1 = highSmall(t2, 28) + highSmall(t3, 783) + u64(v0 < y0)
  v0 += z0
  v1 += u64(v0 < z0)
  // B^2 v1 folds once more: B * 28 v1 - v1. 28 v1 >= w1 always.
  const l = t0 - w0
  const lo = l - v1
  const borrow = u64(t0 < w0) + u64(l < v1)
  const g = 28 * v1 - w1
  const sum = v0 + g
  const hi = sum - borrow
  // -1, 0 or 1 times B^2 is left, worth 28 B - 1 each.
  const k = u64(sum < g) - u64(sum < borrow)
  const down = k & 1 & ~(k >> 63)
  const up = k >> 63
  const lo2 = lo - down + up
  const hi2 = hi + 28 * k - (down & u64(lo == 0)) + (up & u64(lo2 == 0))
  storeReduced(out, hi2, lo2, 0)
}
