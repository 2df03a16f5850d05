// Field64 of the VDAF draft (section 6.1): p = 2^64 - 2^32 + 1. Elements are eight little-endian bytes, always below p.
// No branch and no address depends on a value: carries are comparisons, choices are masks.

export const SIZE: usize = 8
const P: u64 = 0xffffffff00000001
// 2^64 mod p.
const WRAP: u64 = 0xffffffff

// @ts-ignore: decorator
@inline
function reduced(x: u64): u64 {
  return x - (P & -u64(x >= P))
}

export function isCanonical(a: usize): u64 {
  return u64(load<u64>(a) < P)
}

export function clear(out: usize): void {
  store<u64>(out, 0)
}

export function one(out: usize): void {
  store<u64>(out, 1)
}

export function copy(out: usize, a: usize): void {
  store<u64>(out, load<u64>(a))
}

export function add(out: usize, a: usize, b: usize): void {
  const x = load<u64>(a)
  const sum = x + load<u64>(b)
  // A lost carry is worth 2^64 = WRAP (mod p); the sum of two elements below p then stays below 2^64.
  store<u64>(out, reduced(sum + (WRAP & -u64(sum < x))))
}

export function sub(out: usize, a: usize, b: usize): void {
  const x = load<u64>(a)
  const y = load<u64>(b)
  store<u64>(out, x - y + (P & -u64(x < y)))
}

export function mul(out: usize, a: usize, b: usize): void {
  const x = load<u64>(a)
  const y = load<u64>(b)
  const x0 = x & 0xffffffff
  const x1 = x >> 32
  const y0 = y & 0xffffffff
  const y1 = y >> 32
  const low = x0 * y0
  const cross = x1 * y0 + (low >> 32)
  const middle = x0 * y1 + (cross & 0xffffffff)
  const lo = (middle << 32) | (low & 0xffffffff)
  const hi = x1 * y1 + (cross >> 32) + (middle >> 32)
  // 2^64 = 2^32 - 1 and 2^96 = -1 (mod p).
  const top = hi >> 32
  let r = lo - top
  r -= WRAP & -u64(lo < top)
  const folded = (hi & 0xffffffff) * WRAP
  const s = r + folded
  store<u64>(out, reduced(s + (WRAP & -u64(s < r))))
}
