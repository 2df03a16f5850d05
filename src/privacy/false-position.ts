// Where a function that does not rise goes from above zero to below it: false position in Illinois form, with a bisection where
// that is slow (an end without a finite value, or steps that leave one end where it is).

export interface Bracket {
  /** Where the function is above zero, and its value there. */
  readonly low: number
  readonly atLow: number
  /** Where it is not above zero. */
  readonly high: number
  readonly atHigh: number
}

/** Both ends, brought nearer than `width(high)` to each other, in 200 looks at most; each was given to the function. */
export function falsePosition(
  over: (x: number) => number,
  { low, atLow, high, atHigh }: Bracket,
  width: (high: number) => number,
): { readonly low: number; readonly high: number } {
  let kept = 0
  for (let i = 0; i < 200 && high - low > width(high); i++) {
    const finite = Number.isFinite(atLow) && Number.isFinite(atHigh)
    const share = i % 8 === 7 || !finite ? 0.5 : atLow / (atLow - atHigh)
    const nudge = width(high) / 10
    const middle = Math.min(high - nudge, Math.max(low + nudge, low + share * (high - low)))
    if (!(middle > low && middle < high)) break
    const value = over(middle)
    if (value > 0) {
      low = middle
      atLow = value
      if (kept < 0) atHigh /= 2
      kept = -1
    } else {
      high = middle
      atHigh = value
      if (kept > 0) atLow /= 2
      kept = 1
    }
  }
  return { low, high }
}
