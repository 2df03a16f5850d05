// Figures of a comparison in words, for the page and the terminal alike.
import type { ComparisonGroup, ComparisonRow } from './comparison-data.ts'
import { epsilonText } from './figures.ts'

const GROUPS: readonly {
  readonly title: string
  readonly note: string
  readonly has: (row: ComparisonRow) => boolean
}[] = [
  {
    title: 'With DP for a whole client, and without private texts',
    note: 'ε is recomputed from the noise that each run really added.',
    has: (row) => row.guarantee === 'public' || (row.guarantee === 'client' && !unlimited(row)),
  },
  {
    title: 'With local DP for one text',
    note: 'Another promise: every text pays this ε by itself, and a client pays it for each of its texts.',
    has: (row) => row.guarantee === 'text',
  },
  {
    title: 'No DP guarantee',
    note: 'Ceilings, methods that prove nothing, and runs without noise (ε = ∞): none of these figures may stand for one with an ε.',
    has: (row) => row.guarantee === 'none' || (row.guarantee === 'client' && unlimited(row)),
  },
]

/** Asked for without noise: nothing hides a client, whatever the arm can promise otherwise. */
function unlimited({ asked }: ComparisonRow): boolean {
  return asked?.epsilon === Number.POSITIVE_INFINITY
}

/** The groups of these rows, in that order; none is empty. */
export function groupsOf(rows: readonly ComparisonRow[]): ComparisonGroup[] {
  return GROUPS.flatMap(({ title, note, has }) => {
    const own = rows.filter(has).map(({ arm, asked }) => ({ arm, asked }))
    return own.length === 0 ? [] : [{ title, note, rows: own }]
  })
}

/** No epsilon without its kind: of a client, of one text, none asked for, or no guarantee at all. */
export function epsilonOfRow({ guarantee, asked, spent, perText }: ComparisonRow): string {
  switch (guarantee) {
    case 'none':
      return 'no DP guarantee'
    case 'public':
      return 'no private text'
    case 'text':
      return perText === null ? 'not measured' : `${epsilonText(perText.epsilon)} per text`
    default:
      if (spent === null) return asked === null ? 'not measured' : `${epsilonText(asked.epsilon)} asked`
      return epsilonText(spent.epsilon)
  }
}

export function bytesText(bytes: number): string {
  return withPrefix(bytes, 'B')
}

export function flopsText(flops: number): string {
  return withPrefix(flops, 'FLOP')
}

/** With a decimal unless it is a whole number (of bytes, or a tick of an axis). */
function withPrefix(value: number, unit: string): string {
  if (value === 0) return '0'
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P']
  const power = Math.max(0, Math.min(prefixes.length - 1, Math.floor(Math.log10(value) / 3)))
  const scaled = value / 1000 ** power
  const whole = Number.isInteger(scaled) || (power === 0 && unit === 'B')
  return `${scaled.toFixed(whole ? 0 : 1)} ${prefixes[power]}${unit}`
}
