// Charts as SVG text: a line with its interval, and bars. No script and no legend; marks are thin, the grid steps back,
// words are in ink and only marks carry colour (classes of style.ts, so that dark mode and print recolour them).
import { html, type Markup } from './markup.ts'
import { niceScale, type Scale, thinned } from './scale.ts'

const WIDTH = 310
const HEIGHT = 180
const TOP = 12
const BOTTOM = 34
const LEFT = 38

export interface Reference {
  readonly value: number
  readonly label: string
}

interface ChartText {
  /** Unique on the page; names the title and the description for screen readers. */
  readonly id: string
  readonly title: string
  readonly description: string
  readonly xTitle: string
}

export interface LinePoint {
  readonly x: string
  /** null leaves a gap. */
  readonly y: number | null
  readonly low?: number
  readonly high?: number
}

export interface LineChart extends ChartText {
  readonly points: readonly LinePoint[]
  /** The axis starts at zero. */
  readonly zero?: boolean
  readonly format: (y: number) => string
  /** A dashed horizontal line with its name. */
  readonly reference?: Reference
}

export interface BarChart extends ChartText {
  readonly values: readonly number[]
  /** These are drawn in the accent colour, the others step back. All of them where absent. */
  readonly marked?: (value: number, index: number) => boolean
  /** Names under the bars ('middle'), or of the edges between them ('edge', one more than there are bars). */
  readonly labels?: readonly string[]
  readonly labelsAt?: 'middle' | 'edge'
  readonly reference?: Reference
  /** Shaded from -band to +band: what noise alone makes. */
  readonly band?: number
  /** Values that the axis covers besides the bars, so that several charts can be compared. */
  readonly cover?: readonly number[]
}

const at = (x: number): string => Number(x.toFixed(1)).toString()

function frame(text: ChartText, y: Scale, right: number, inside: Markup, xLabels: Markup): Markup {
  const place = vertical(y)
  const grid = y.ticks.map(
    (tick) =>
      html`<line class="${tick === 0 ? 'axis' : 'grid'}" x1="${LEFT}" x2="${WIDTH - right}" y1="${at(place(tick))}" y2="${at(place(tick))}"/><text class="tick" x="${LEFT - 6}" y="${at(place(tick) + 3.5)}" text-anchor="end">${y.format(tick)}</text>`,
  )
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${text.id}-title ${text.id}-desc"><title id="${text.id}-title">${text.title}</title><desc id="${text.id}-desc">${text.description}</desc>${grid}${inside}${xLabels}<text class="axis-title" x="${at(LEFT + (WIDTH - right - LEFT) / 2)}" y="${HEIGHT - 4}" text-anchor="middle">${text.xTitle}</text></svg>`
}

function vertical(y: Scale): (value: number) => number {
  const room = HEIGHT - TOP - BOTTOM
  return (value) => TOP + room * (1 - (value - y.low) / (y.high - y.low))
}

/** `beside`: where the name of the line goes, so that it stays clear of the marks. */
function referenceLine(
  reference: Reference | undefined,
  place: (value: number) => number,
  right: number,
  beside: { readonly end: 'left' | 'right'; readonly below: boolean },
): Markup | null {
  if (reference === undefined || !Number.isFinite(reference.value)) return null
  const y = place(reference.value)
  // A name that would leave the chart goes to the other side of its line.
  const under = y < TOP + 14 || (beside.below && y < HEIGHT - BOTTOM - 14)
  const left = beside.end === 'left'
  return html`<line class="reference" x1="${LEFT}" x2="${WIDTH - right}" y1="${at(y)}" y2="${at(y)}"/><text class="label halo" x="${left ? LEFT + 4 : WIDTH - right}" y="${at(under ? y + 12 : y - 4)}" text-anchor="${left ? 'start' : 'end'}">${reference.label}</text>`
}

/** The end of the line where it is farther from the reference, and the side of the reference away from it. */
function clearOf(reference: number, first: number, last: number): { end: 'left' | 'right'; below: boolean } {
  const left = Math.abs(first - reference) > Math.abs(last - reference)
  return { end: left ? 'left' : 'right', below: (left ? first : last) >= reference }
}

/** A line through points with an optional interval band; the first and the last value are written beside their points. */
export function lineChart(chart: LineChart): Markup {
  const right = 48
  const known = chart.points.flatMap((point, i) =>
    point.y !== null && Number.isFinite(point.y) ? [{ ...point, y: point.y, i }] : [],
  )
  const y = niceScale(
    [
      ...known.flatMap((p) => [p.y, p.low ?? p.y, p.high ?? p.y]),
      ...(chart.reference ? [chart.reference.value] : []),
    ],
    { zero: chart.zero ?? false },
  )
  const placeY = vertical(y)
  const span = WIDTH - LEFT - right - 16
  const n = chart.points.length
  const placeX = (i: number): number => LEFT + 8 + (n > 1 ? (span * i) / (n - 1) : span / 2)
  // Neighbours form one stroke; a gap starts a new one.
  const strokes: (typeof known)[] = []
  for (const point of known) {
    const stroke = strokes.at(-1)
    if (stroke?.at(-1)?.i === point.i - 1) stroke.push(point)
    else strokes.push([point])
  }
  const bands = strokes
    .filter((stroke) => stroke.every((p) => p.low !== undefined && p.high !== undefined))
    .map((stroke) => {
      const upper = stroke.map((p) => `${at(placeX(p.i))} ${at(placeY(p.high as number))}`)
      const lower = stroke.map((p) => `${at(placeX(p.i))} ${at(placeY(p.low as number))}`).reverse()
      return html`<path class="interval" d="M${[...upper, ...lower].join('L')}Z"/>`
    })
  const lines = strokes.map(
    (stroke) =>
      html`<path class="line" d="M${stroke.map((p) => `${at(placeX(p.i))} ${at(placeY(p.y))}`).join('L')}"/>`,
  )
  const dots = known.map((p) => {
    const interval =
      p.low !== undefined && p.high !== undefined
        ? ` (${chart.format(p.low)} to ${chart.format(p.high)})`
        : ''
    // A lone point with an interval has no band to show: a whisker does.
    const whisker =
      interval !== '' && strokes.some((s) => s.length === 1 && s[0]?.i === p.i)
        ? html`<line class="whisker" x1="${at(placeX(p.i))}" x2="${at(placeX(p.i))}" y1="${at(placeY(p.low as number))}" y2="${at(placeY(p.high as number))}"/>`
        : null
    return html`${whisker}<circle class="dot" cx="${at(placeX(p.i))}" cy="${at(placeY(p.y))}" r="2.5"><title>${p.x}: ${chart.format(p.y)}${interval}</title></circle>`
  })
  const last = known.at(-1)
  const first = known[0]
  const values = html`${
    first && first !== last
      ? html`<text class="label halo" x="${at(placeX(first.i))}" y="${at(placeY(first.y) + (placeY(first.y) < TOP + 16 ? 16 : -8))}" text-anchor="${first.i === 0 ? 'start' : 'middle'}">${chart.format(first.y)}</text>`
      : null
  }${last ? html`<text class="value" x="${at(placeX(last.i) + 7)}" y="${at(placeY(last.y) + 4)}">${chart.format(last.y)}</text>` : null}`
  const xLabels = thinned(n, 8).map(
    (i) =>
      html`<text class="tick" x="${at(placeX(i))}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${chart.points[i]?.x}</text>`,
  )
  return frame(
    chart,
    y,
    right,
    html`${bands}${referenceLine(chart.reference, placeY, right, clearOf(chart.reference?.value ?? 0, first?.y ?? 0, last?.y ?? 0))}${lines}${dots}${values}`,
    html`${xLabels}`,
  )
}

/** Bars from zero, in the order given; negative values hang below. */
export function barChart(chart: BarChart): Markup {
  const right = 12
  const values = chart.values.map((value) => (Number.isFinite(value) ? value : 0))
  const y = niceScale(
    [...values, ...(chart.cover ?? []), ...(chart.reference ? [chart.reference.value] : [])],
    {
      zero: true,
    },
  )
  const placeY = vertical(y)
  const slot = (WIDTH - LEFT - right) / Math.max(1, values.length)
  const gap = slot > 8 ? 2 : slot > 3 ? 1 : 0
  const base = placeY(0)
  const bars = (wanted: boolean): string =>
    values
      .map((value, i) =>
        value !== 0 && (chart.marked?.(value, i) ?? true) === wanted
          ? `M${(LEFT + i * slot).toFixed(2)} ${at(base)}V${at(placeY(value))}h${(slot - gap).toFixed(2)}V${at(base)}Z`
          : '',
      )
      .join('')
  const band =
    chart.band !== undefined && chart.band > 0
      ? html`<rect class="noise-band" x="${LEFT}" width="${WIDTH - LEFT - right}" y="${at(placeY(Math.min(chart.band, y.high)))}" height="${at(placeY(Math.max(-chart.band, y.low)) - placeY(Math.min(chart.band, y.high)))}"/>`
      : null
  const labels = chart.labels ?? []
  const edge = chart.labelsAt === 'edge'
  const xLabels = thinned(labels.length, 8).map(
    (i) =>
      html`<text class="tick" x="${at(LEFT + (i + (edge ? 0 : 0.5)) * slot)}" y="${HEIGHT - BOTTOM + 14}" text-anchor="middle">${labels[i]}</text>`,
  )
  return frame(
    chart,
    y,
    right,
    html`${band}<path class="bar-back" d="${bars(false)}"/><path class="bar" d="${bars(true)}"/>${referenceLine(chart.reference, placeY, right, { end: 'right', below: false })}`,
    html`${xLabels}`,
  )
}
