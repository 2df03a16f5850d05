// What exact search does beside the matrix product (src/histogram/exact.ts), in WASM with 128-bit vectors: rounds queries to
// 8 bits, picks the candidates whose scores can be among the best, and measures these again in 64 bits. Addresses come from
// the caller, nothing is allocated; rows are padded with zeros to multiples of 16 values.

/** The largest magnitude of `count` values; not a number where one of them is not. */
export function largest(values: usize, count: usize): f32 {
  let a = f32x4.splat(0)
  let b = a
  for (let end = values + count * 4; values < end; values += 32) {
    a = f32x4.max(a, f32x4.abs(v128.load(values, 0)))
    b = f32x4.max(b, f32x4.abs(v128.load(values, 16)))
  }
  a = f32x4.max(a, b)
  return max<f32>(
    max<f32>(f32x4.extract_lane(a, 0), f32x4.extract_lane(a, 1)),
    max<f32>(f32x4.extract_lane(a, 2), f32x4.extract_lane(a, 3)),
  )
}

/**
 * Whole steps of each value as bytes above `zero`. For each row, in steps: the norm of what is lost, up to the rounding of
 * 32-bit floats, and that of what is kept, exactly.
 */
export function quantise(
  values: usize,
  bytes: usize,
  rows: usize,
  dim: usize,
  inverse: f32,
  zero: i32,
  lost: usize,
  kept: usize,
): void {
  const scale = f32x4.splat(inverse)
  const shift = i16x8.splat(i16(zero))
  for (let i: usize = 0; i < rows; i++) {
    let away = f32x4.splat(0)
    let square = i64x2.splat(0)
    for (let end = values + dim * 4; values < end; values += 64, bytes += 16) {
      const x0 = f32x4.mul(v128.load(values, 0), scale)
      const x1 = f32x4.mul(v128.load(values, 16), scale)
      const x2 = f32x4.mul(v128.load(values, 32), scale)
      const x3 = f32x4.mul(v128.load(values, 48), scale)
      const w0 = f32x4.nearest(x0)
      const w1 = f32x4.nearest(x1)
      const w2 = f32x4.nearest(x2)
      const w3 = f32x4.nearest(x3)
      const r0 = f32x4.sub(x0, w0)
      const r1 = f32x4.sub(x1, w1)
      const r2 = f32x4.sub(x2, w2)
      const r3 = f32x4.sub(x3, w3)
      const r01 = f32x4.add(f32x4.mul(r0, r0), f32x4.mul(r1, r1))
      const r23 = f32x4.add(f32x4.mul(r2, r2), f32x4.mul(r3, r3))
      away = f32x4.add(away, f32x4.add(r01, r23))
      const low = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(w0), i32x4.trunc_sat_f32x4_s(w1))
      const high = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(w2), i32x4.trunc_sat_f32x4_s(w3))
      const sums = i32x4.add(i32x4.dot_i16x8_s(low, low), i32x4.dot_i16x8_s(high, high))
      square = i64x2.add(square, i64x2.add(i64x2.extend_low_i32x4_s(sums), i64x2.extend_high_i32x4_s(sums)))
      v128.store(bytes, i8x16.narrow_i16x8_u(i16x8.add(low, shift), i16x8.add(high, shift)))
    }
    const all =
      f64(f32x4.extract_lane(away, 0)) +
      f64(f32x4.extract_lane(away, 1)) +
      f64(f32x4.extract_lane(away, 2)) +
      f64(f32x4.extract_lane(away, 3))
    store<f64>(lost + i * 8, Math.sqrt(all))
    store<f64>(kept + i * 8, Math.sqrt(f64(i64x2.extract_lane(square, 0) + i64x2.extract_lane(square, 1))))
  }
}

/** Puts `score` among the `k` largest, which stand in descending order; gives the smallest of them. */
function insert(top: usize, k: usize, score: f32): f32 {
  let at = top + (k - 1) * 4
  for (; at > top && load<f32>(at - 4) < score; at -= 4) store<f32>(at, load<f32>(at - 4))
  store<f32>(at, score)
  return load<f32>(top + (k - 1) * 4)
}

/**
 * The candidates whose score is at most `margin` below the k-th largest, those that are not below it first; gives their
 * number. The scores of `row` lie in parts: for each part of up to `part` candidates, `rows` rows of its scores. `top` is
 * room for k scores, `seen` for a list and its scores; those of the listed go to `listed`.
 */
export function shortlist(
  scores: usize,
  rows: usize,
  row: usize,
  candidates: usize,
  part: usize,
  k: usize,
  margin: f64,
  top: usize,
  seen: usize,
  list: usize,
  listed: usize,
): usize {
  for (let i: usize = 0; i < k; i++) store<f32>(top + i * 4, -Infinity)
  let lowest: f32 = -Infinity
  // The largest score of each of 16 (or 4) groups, as far as groups go: at least k scores are not below the k-th of these.
  if (k <= 16) {
    let a = f32x4.splat(-Infinity)
    let b = a
    let c = a
    let e = a
    for (let start: usize = 0; start < candidates; start += part) {
      const size = min(part, candidates - start)
      let at = scores + (rows * start + row * size) * 4
      for (const end = at + (size & ~15) * 4; at < end; at += 64) {
        a = f32x4.max(a, v128.load(at, 0))
        b = f32x4.max(b, v128.load(at, 16))
        c = f32x4.max(c, v128.load(at, 32))
        e = f32x4.max(e, v128.load(at, 48))
      }
    }
    // The list is not in use yet.
    const groups = list
    if (k == 1) {
      v128.store(groups, f32x4.max(f32x4.max(a, b), f32x4.max(c, e)))
      for (let g: usize = 0; g < 4; g++) lowest = max<f32>(lowest, load<f32>(groups + g * 4))
    } else {
      for (let g: usize = 0; g < 4; g++) {
        v128.store(groups, g == 0 ? a : g == 1 ? b : g == 2 ? c : e)
        for (let lane: usize = 0; lane < 4; lane++) {
          const score = load<f32>(groups + lane * 4)
          if (score > lowest) lowest = insert(top, k, score)
        }
      }
      for (let i: usize = 0; i < k; i++) store<f32>(top + i * 4, -Infinity)
    }
  }
  let found: usize = 0
  let limit = f32(f64(lowest) - margin)
  for (let start: usize = 0; start < candidates; start += part) {
    const size = min(part, candidates - start)
    const base = scores + (rows * start + row * size) * 4
    let i: usize = 0
    while (i < size) {
      if (i + 16 <= size) {
        const limits = f32x4.splat(limit)
        const at = base + i * 4
        const low = v128.or(f32x4.ge(v128.load(at, 0), limits), f32x4.ge(v128.load(at, 16), limits))
        const high = v128.or(f32x4.ge(v128.load(at, 32), limits), f32x4.ge(v128.load(at, 48), limits))
        if (!v128.any_true(v128.or(low, high))) {
          i += 16
          continue
        }
      }
      for (const end = min(i + 16, size); i < end; i++) {
        const score = load<f32>(base + i * 4)
        if (score < limit) continue
        store<u32>(seen + found * 8, u32(start + i))
        store<f32>(seen + found++ * 8, score, 4)
        if (score <= load<f32>(top + (k - 1) * 4)) continue
        const kth = insert(top, k, score)
        if (kth > lowest) {
          lowest = kth
          limit = f32(f64(lowest) - margin)
        }
      }
    }
  }
  // The limit rose on the way.
  let left: usize = 0
  for (let high: f32 = Infinity, low = lowest; ; high = lowest, low = limit) {
    for (let j: usize = 0; j < found; j++) {
      const score = load<f32>(seen + j * 8, 4)
      if (score < low || score >= high) continue
      store<u32>(list + left * 4, load<u32>(seen + j * 8))
      store<f32>(listed + left++ * 4, score)
    }
    if (high == lowest) break
  }
  return left
}

/** A row of 32-bit values in 64 bits. */
export function widen(values: usize, wide: usize, dim: usize): void {
  for (let end = values + dim * 4; values < end; values += 8, wide += 16) {
    v128.store(wide, f64x2.promote_low_f32x4(v128.load64_zero(values)))
  }
}

/**
 * Scores the listed candidates in 64 bits (eight sums at once), puts them in descending order, keeps those at most `margin`
 * below the k-th, and gives their number. None that cannot be among them is scored: `listed` is off by at most `error`.
 * `factors` and `terms`: the score is product * factor - term.
 */
export function rank(
  wide: usize,
  dim: usize,
  candidates: usize,
  factors: usize,
  terms: usize,
  list: usize,
  listed: usize,
  error: f64,
  found: usize,
  k: usize,
  margin: f64,
  scores: usize,
): usize {
  let left: usize = 0
  let limit = -Infinity
  for (let j: usize = 0; j < found; j++) {
    if (f64(load<f32>(listed + j * 4)) + error < limit) continue
    const index = load<u32>(list + j * 4)
    let value = candidates + (index as usize) * dim * 4
    let a = f64x2.splat(0)
    let b = a
    let c = a
    let e = a
    for (let at = wide, end = wide + dim * 8; at < end; at += 64, value += 32) {
      a = f64x2.add(a, f64x2.mul(v128.load(at, 0), f64x2.promote_low_f32x4(v128.load64_zero(value, 0))))
      b = f64x2.add(b, f64x2.mul(v128.load(at, 16), f64x2.promote_low_f32x4(v128.load64_zero(value, 8))))
      c = f64x2.add(c, f64x2.mul(v128.load(at, 32), f64x2.promote_low_f32x4(v128.load64_zero(value, 16))))
      e = f64x2.add(e, f64x2.mul(v128.load(at, 48), f64x2.promote_low_f32x4(v128.load64_zero(value, 24))))
    }
    const sums = f64x2.add(f64x2.add(a, b), f64x2.add(c, e))
    const product = f64x2.extract_lane(sums, 0) + f64x2.extract_lane(sums, 1)
    const score = product * load<f64>(factors + index * 8) - load<f64>(terms + index * 8)
    if (score < limit) continue
    let at = left++
    for (; at > 0 && load<f64>(scores + (at - 1) * 8) < score; at--) {
      store<f64>(scores + at * 8, load<f64>(scores + (at - 1) * 8))
      store<u32>(list + at * 4, load<u32>(list + (at - 1) * 4))
    }
    store<f64>(scores + at * 8, score)
    store<u32>(list + at * 4, index)
    if (left >= k) limit = load<f64>(scores + (k - 1) * 8) - margin
    while (left > k && load<f64>(scores + (left - 1) * 8) < limit) left--
  }
  return left
}
