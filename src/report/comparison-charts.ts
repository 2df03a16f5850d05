// Charts of a comparison: many arms in one plot, each named at its last point, so that no colour has to be looked up. Ours
// carries the accent; the others are told apart by their names and by what a pointer shows.
import { html, type Markup } from './markup.ts'
import { niceScale } from './scale.ts'

const WIDTH = 640
const HEIGHT = 300
const TOP = 12
const BOTTOM = 40
const LEFT = 46
const RIGHT = 190

export interface SeriesPoint {
  /** null: everywhere, where x means nothing for the arm; drawn as a dashed line. */
  readonly x: number | null
  readonly y: number
  readonly low: number
  readonly high: number
  /** Shown by a pointer. */
  readonly about: string
}

export interface Series {
  readonly name: string
  readonly ours: boolean
  readonly points: readonly SeriesPoint[]
}

export interface ArmChart {
  readonly id: string
  readonly title: string
  readonly description: string
  readonly xTitle: string
  readonly series: readonly Series[]
  /** A value beside a name. */
  readonly format: (y: number) => string
  /** categories: x counts from 0 and names one of them. log: 0 has a place of its own at the left. */
  readonly x: { readonly categories: readonly string[] } | { readonly log: (value: number) => string }
}

const at = (value: number): string => Number(value.toFixed(1)).toString()

export function armChart(chart: ArmChart): Markup {
  const points = chart.series.flatMap((series) => series.points)
  const y = niceScale(points.flatMap((point) => [point.y, point.low, point.high]))
  const placeY = (value: number) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - y.low) / (y.high - y.low))
  const { place: placeX, ticks } = horizontal(chart)
  const grid = y.ticks.map(
    (tick) =>
      html`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(placeY(tick))}" y2="${at(placeY(tick))}"/><text class="tick" x="${LEFT - 6}" y="${at(placeY(tick) + 3.5)}" text-anchor="end">${y.format(tick)}</text>`,
  )
  const labels = ticks.map(
    ({ x, text }) =>
      html`<text class="tick" x="${at(x)}" y="${HEIGHT - BOTTOM + 15}" text-anchor="middle">${text}</text>`,
  )
  // The others first, so that ours lies on top.
  const order = [...chart.series].sort((a, b) => Number(a.ours) - Number(b.ours))
  const marks = order.map((series) => seriesMarks(series, placeX, placeY))
  const names = spread(
    chart.series.flatMap((series) => {
      const last = series.points.at(-1)
      if (last === undefined) return []
      return [{ series, x: last.x === null ? WIDTH - RIGHT : placeX(last.x), y: placeY(last.y) }]
    }),
  ).map(({ series, x, y: own, label }) => {
    const value = chart.format(series.points.at(-1)?.y as number)
    return html`<line class="grid" x1="${at(x + 4)}" x2="${WIDTH - RIGHT + 8}" y1="${at(own)}" y2="${at(label)}"/><text class="${series.ours ? 'value' : 'label'}" x="${WIDTH - RIGHT + 11}" y="${at(label + 3.5)}">${series.name} ${value}</text>`
  })
  return html`<svg class="wide" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-labelledby="${chart.id}-title ${chart.id}-desc"><title id="${chart.id}-title">${chart.title}</title><desc id="${chart.id}-desc">${chart.description}</desc>${grid}${names}${marks}${labels}<text class="axis-title" x="${at(LEFT + (WIDTH - RIGHT - LEFT) / 2)}" y="${HEIGHT - 6}" text-anchor="middle">${chart.xTitle}</text></svg>`
}

function seriesMarks(
  { name, ours, points }: Series,
  placeX: (x: number) => number,
  placeY: (y: number) => number,
): Markup {
  const kind = ours ? '' : ' other'
  const known = points.filter((point): point is SeriesPoint & { x: number } => point.x !== null)
  const everywhere = points.filter((point) => point.x === null)
  const line = known.map((point) => `${at(placeX(point.x))} ${at(placeY(point.y))}`).join('L')
  return html`${everywhere.map(
    (point) =>
      html`<line class="reference" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(placeY(point.y))}" y2="${at(placeY(point.y))}"><title>${name}: ${point.about}</title></line>`,
  )}${known.length > 1 ? html`<path class="line${kind}" d="M${line}"/>` : null}${known.map(
    (point) =>
      html`<line class="whisker${kind}" x1="${at(placeX(point.x))}" x2="${at(placeX(point.x))}" y1="${at(placeY(point.low))}" y2="${at(placeY(point.high))}"/><circle class="dot${kind}" cx="${at(placeX(point.x))}" cy="${at(placeY(point.y))}" r="3"><title>${name}: ${point.about}</title></circle>`,
  )}`
}

interface Named {
  readonly series: Series
  readonly x: number
  readonly y: number
}

const LINE = 13

/** Names beside the plot, in the order of their points and never on top of each other. */
function spread(names: readonly Named[]): (Named & { readonly label: number })[] {
  const sorted = [...names].sort((a, b) => a.y - b.y)
  const labels: number[] = []
  for (const { y } of sorted) labels.push(Math.max(y, (labels.at(-1) ?? Number.NEGATIVE_INFINITY) + LINE))
  // Where they ran out at the bottom, all move up as far as they must.
  let floor = HEIGHT - BOTTOM + 6
  for (let i = labels.length - 1; i >= 0; i--) {
    labels[i] = Math.min(labels[i] as number, floor)
    floor = (labels[i] as number) - LINE
  }
  return sorted.map((name, i) => ({ ...name, label: labels[i] as number }))
}

function horizontal({ x, series }: ArmChart): {
  place: (value: number) => number
  ticks: readonly { readonly x: number; readonly text: string }[]
} {
  const from = LEFT + 20
  const to = WIDTH - RIGHT - 20
  if ('categories' in x) {
    const { categories } = x
    const place = (i: number) =>
      categories.length === 1 ? (from + to) / 2 : from + ((to - from) * i) / (categories.length - 1)
    return { place, ticks: categories.map((text, i) => ({ x: place(i), text })) }
  }
  const values = series.flatMap(({ points }) => points.flatMap((point) => (point.x ? [point.x] : [])))
  const low = Math.floor(Math.log10(values.length > 0 ? Math.min(...values) : 1e3))
  const high = Math.max(low + 1, Math.ceil(Math.log10(values.length > 0 ? Math.max(...values) : 1e4)))
  const zero = series.some(({ points }) => points.some((point) => point.x === 0))
  const start = zero ? from + 36 : from
  const place = (value: number) =>
    value === 0 ? from : start + ((to - start) * (Math.log10(value) - low)) / (high - low)
  const step = Math.ceil((high - low) / 3)
  const powers = Array.from({ length: Math.floor((high - low) / step) + 1 }, (_, i) => 10 ** (low + i * step))
  return {
    place,
    ticks: [
      ...(zero ? [{ x: from, text: '0' }] : []),
      ...powers.map((power) => ({ x: place(power), text: x.log(power) })),
    ],
  }
}
