// Numbers as a reader sees them. Privacy figures are rounded to the safe side: an epsilon is never printed smaller than
// it is, and a noise multiplier never larger.

const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `x` with `digits` significant digits, moved up (or down) where rounding to nearest would not be on the safe side. */
function towards(x: number, digits: number, side: 1 | -1): string {
  if (!Number.isFinite(x) || x === 0) return String(x)
  const exponent = Math.floor(Math.log10(Math.abs(x)))
  const decimals = digits - 1 - exponent
  if (decimals > 20 || decimals < -20) return x.toExponential()
  const show = (value: number): string => (decimals > 0 ? value.toFixed(decimals) : String(value))
  const step = 10 ** Math.abs(decimals)
  const units = decimals >= 0 ? Math.round(x * step) : Math.round(x / step)
  for (const moved of [units - side, units, units + side]) {
    const text = show(decimals >= 0 ? moved / step : moved * step)
    if (side * (Number(text) - x) >= 0) return decimals > 0 ? text.replace(/\.?0+$/, '') : text
  }
  return String(x)
}

/** An epsilon: three significant digits, rounded up; `∞` for infinity. */
export function epsilonText(epsilon: number): string {
  return epsilon === Infinity ? '∞' : towards(epsilon, 3, 1)
}

/** A delta, exactly: `1e-5`. */
export function deltaText(delta: number): string {
  return delta > 0 && delta < 0.001 ? delta.toExponential() : String(delta)
}

/** A noise multiplier: four significant digits, rounded down. */
export function noiseText(noiseMultiplier: number): string {
  return towards(noiseMultiplier, 4, -1)
}

/** At most `digits` decimals, without trailing zeros. */
export function decimal(x: number, digits = 3): string {
  if (!Number.isFinite(x)) return x > 0 ? '∞' : x < 0 ? '−∞' : 'n/a'
  const text = x.toFixed(digits)
  const short = digits > 0 ? text.replace(/\.?0+$/, '') : text
  return short === '-0' ? '0' : short
}

export function count(x: number): string {
  return grouped.format(x)
}

/** "1 text", "2,000 texts". */
export function counted(x: number, one: string, many = `${one}s`): string {
  return `${count(x)} ${x === 1 ? one : many}`
}

export function percent(share: number): string {
  return `${decimal(share * 100, share > 0 && share < 0.1 ? 1 : 0)}%`
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${decimal(seconds, seconds < 10 ? 1 : 0)} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** To the second below an hour. */
export function exactDuration(seconds: number): string {
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  const minutes = Math.round(whole / 60)
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export function dollarsText(dollars: number): string {
  if (dollars > 0 && dollars < 0.01) return 'less than $0.01'
  return `$${dollars.toFixed(2)}`
}

/** A date and time to the minute, in UTC; anything that is not a date as it came. */
export function timeText(iso: string): string {
  const time = new Date(iso)
  return Number.isNaN(time.getTime()) ? iso : `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
