// Operations on whole vectors of a field, in this module's memory: what src/vdaf/field.ts asks of an implementation. Built
// twice, with field64.as and with field128.as in the place of ./field. Addresses come from the caller; nothing is allocated.
import { SIZE, add as plus, sub as minus, mul as times, isCanonical, clear, one, copy } from './field'

// Four elements of scratch below everything that the caller uses.
const T0: usize = 16
const T1: usize = 32
const T2: usize = 48

export function add(out: usize, a: usize, b: usize, n: u32): void {
  for (let i: usize = 0; i < n * SIZE; i += SIZE) plus(out + i, a + i, b + i)
}

export function sub(out: usize, a: usize, b: usize, n: u32): void {
  for (let i: usize = 0; i < n * SIZE; i += SIZE) minus(out + i, a + i, b + i)
}

export function mul(out: usize, a: usize, b: usize, n: u32): void {
  for (let i: usize = 0; i < n * SIZE; i += SIZE) times(out + i, a + i, b + i)
}

// 1 when every element is below p.
export function canonical(a: usize, n: u32): u32 {
  let good: u64 = 1
  for (let i: usize = 0; i < n * SIZE; i += SIZE) good &= isCanonical(a + i)
  return u32(good)
}

// out[row] = sum of rows[row][i] * weights[i].
export function dot(out: usize, rows: usize, weights: usize, count: u32, n: u32): void {
  for (let row: u32 = 0; row < count; row++) {
    clear(T0)
    for (let i: usize = 0; i < n * SIZE; i += SIZE) {
      times(T1, rows + i, weights + i)
      plus(T0, T0, T1)
    }
    copy(out, T0)
    rows += n * SIZE
    out += SIZE
  }
}

// out[b * n + j] = bases[b] ** (j + 1).
export function powers(out: usize, bases: usize, count: u32, n: u32): void {
  for (let b: u32 = 0; b < count; b++) {
    copy(out, bases)
    for (let j: u32 = 1; j < n; j++) times(out + j * SIZE, out + (j - 1) * SIZE, bases)
    out += n * SIZE
    bases += SIZE
  }
}

// Lagrange weights at t for the n-th roots of unity: out[i] = (w^i / n) * product over j != i of (t - w^j). No division,
// so t may be anything. `nodes` holds w^0 .. w^(n-1).
export function weights(out: usize, t: usize, nodes: usize, inverse: usize, n: u32): void {
  copy(T0, inverse)
  for (let i: usize = 0; i < n * SIZE; i += SIZE) {
    copy(out + i, T0)
    minus(T1, t, nodes + i)
    times(T0, T0, T1)
  }
  one(T0)
  for (let i: usize = n * SIZE; i > 0; ) {
    i -= SIZE
    times(T1, T0, nodes + i)
    times(out + i, out + i, T1)
    minus(T1, t, nodes + i)
    times(T0, T0, T1)
  }
}

// In place: n values in bit-reversed order of a coefficient vector become evaluations at the n-th roots, nodes[0 .. n-1].
function butterflies(a: usize, nodes: usize, n: u32): void {
  for (let half: u32 = 1; half < n; half <<= 1) {
    const step: usize = (n / (half << 1)) * SIZE
    for (let start: u32 = 0; start < n; start += half << 1) {
      let node = nodes
      for (let i = start; i < start + half; i++) {
        const x = a + i * SIZE
        const y = x + half * SIZE
        times(T1, node, y)
        minus(y, x, T1)
        plus(x, x, T1)
        node += step
      }
    }
  }
}

function permuted(out: usize, a: usize, n: u32): void {
  const shift = clz(n) + 1
  for (let i: u32 = 0; i < n; i++) {
    let r = i
    r = ((r >> 1) & 0x55555555) | ((r & 0x55555555) << 1)
    r = ((r >> 2) & 0x33333333) | ((r & 0x33333333) << 2)
    r = ((r >> 4) & 0x0f0f0f0f) | ((r & 0x0f0f0f0f) << 4)
    r = bswap<u32>(r)
    copy(out + (r >> shift) * SIZE, a + i * SIZE)
  }
}

// Each row of n evaluations of a polynomial (degree below n, at the n-th roots) becomes its 2n evaluations at the 2n-th
// roots. `nodes` holds the 2n-th roots from 1 on; `scratch` has room for 3n elements.
export function double(out: usize, rows: usize, count: u32, n: u32, nodes: usize, inverse: usize, scratch: usize): void {
  const even = scratch
  const shift = scratch + n * SIZE
  const odd = shift + n * SIZE
  for (let i: u32 = 0; i < n; i++) {
    copy(even + i * SIZE, nodes + 2 * i * SIZE)
    times(shift + i * SIZE, nodes + i * SIZE, inverse)
  }
  for (let row: u32 = 0; row < count; row++) {
    // Coefficient k is the (n - k)-th output of the forward transform, over n; times s^k it is that of P(s x).
    permuted(odd, rows, n)
    butterflies(odd, even, n)
    for (let k: u32 = 0; k < n; k++) {
      times(out + k * SIZE, odd + ((n - k) & (n - 1)) * SIZE, shift + k * SIZE)
    }
    permuted(odd, out, n)
    butterflies(odd, even, n)
    for (let i: u32 = 0; i < n; i++) {
      copy(out + 2 * i * SIZE, rows + i * SIZE)
      copy(out + (2 * i + 1) * SIZE, odd + i * SIZE)
    }
    rows += n * SIZE
    out += 2 * n * SIZE
  }
}

// out[i] = sum over j of rows[2j][i] * rows[2j + 1][i].
export function pairs(out: usize, rows: usize, count: u32, n: u32): void {
  for (let i: usize = 0; i < n * SIZE; i += SIZE) clear(out + i)
  for (let j: u32 = 0; j < count; j++) {
    const other = rows + n * SIZE
    for (let i: usize = 0; i < n * SIZE; i += SIZE) {
      times(T1, rows + i, other + i)
      plus(out + i, out + i, T1)
    }
    rows = other + n * SIZE
  }
}

// The wires of ParallelSum(Mul, chunk) for a range check of bits: row 2j holds seed, then r_i^(j+1) * x[i * chunk + j] for
// every call i; row 2j + 1 holds seed, then x[i * chunk + j] - constant; both padded with zeros to `width`.
export function wires(
  out: usize, x: usize, n: u32, joint: usize, seeds: usize, chunk: u32, width: u32, constant: usize,
): void {
  const calls = (n + chunk - 1) / chunk
  const row = width * SIZE
  for (let j: u32 = 0; j < 2 * chunk; j++) {
    copy(out + j * row, seeds + j * SIZE)
    for (let i = calls + 1; i < width; i++) clear(out + j * row + i * SIZE)
  }
  clear(T2)
  for (let i: u32 = 0; i < calls; i++) {
    const r = joint + i * SIZE
    copy(T0, r)
    let place = out + (i + 1) * SIZE
    for (let j: u32 = 0; j < chunk; j++) {
      const index = i * chunk + j
      const element = index < n ? x + index * SIZE : T2
      times(place, T0, element)
      minus(place + row, element, constant)
      times(T0, T0, r)
      place += 2 * row
    }
  }
}
