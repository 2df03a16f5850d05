// The axis of a chart: round tick values, and the domain that they span.

export interface Scale {
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
  /** A tick with as many decimals as the step needs. */
  readonly format: (tick: number) => string
}

/** About `wanted` ticks with steps of 1, 2 or 5 times a power of ten, covering all of the finite `values`. */
export function niceScale(
  values: readonly number[],
  options: { readonly zero?: boolean; readonly wanted?: number } = {},
): Scale {
  const finite = values.filter(Number.isFinite)
  if (options.zero || finite.length === 0) finite.push(0)
  let low = Math.min(...finite)
  let high = Math.max(...finite)
  const size = Math.max(Math.abs(low), Math.abs(high))
  if (high - low < 1e-9 * Math.max(size, 1)) {
    // One value alone (or as good as): give it room, and keep zero as the floor of what is not negative.
    const room = size < 1e-9 ? 1 : size / 2
    if (low > -1e-9) low = options.zero ? 0 : Math.max(0, low - room)
    else low -= room
    high += room
  }
  const rough = (high - low) / (options.wanted ?? 4)
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = [1, 2, 5, 10].find((f) => f * power >= rough * (1 - 1e-9)) ?? 10
  const step = factor * power
  const first = Math.floor(low / step + 1e-9)
  const last = Math.ceil(high / step - 1e-9)
  const decimals = Math.min(12, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)))
  const ticks = Array.from({ length: last - first + 1 }, (_, i) =>
    Number(((first + i) * step).toFixed(decimals)),
  )
  return {
    low: ticks[0] as number,
    high: ticks.at(-1) as number,
    ticks,
    format: (tick) => tick.toFixed(decimals),
  }
}

/** At most `most` of the positions 0 .. n - 1: the first, and every 1st, 2nd, 5th, 10th, 20th, 50th ... after it. */
export function thinned(n: number, most: number): readonly number[] {
  let step = 1
  for (let i = 0; Math.ceil(n / step) > most; i++)
    step = ([2, 5, 10][i % 3] as number) * 10 ** Math.floor(i / 3)
  return Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step)
}
