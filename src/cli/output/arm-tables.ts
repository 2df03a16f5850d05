// Figures and tables of one arm alone, for the terminal: what `measures` of its result holds.
import type { ComparisonReport } from '../../report/comparison-data.ts'
import { table } from './output.ts'

/** Of every row: its figures in one line, and each of its tables under its name. */
export function armTables({ rows }: ComparisonReport): string[] {
  return rows.flatMap(({ arm, asked, measures }) => {
    const entries = Object.entries(measures)
    if (entries.length === 0) return []
    const figures = entries.filter(([, value]) => !Array.isArray(value))
    const tables = entries.flatMap(([name, value]) =>
      Array.isArray(value) && value.length > 0 ? ['', `${name}:`, tableOf(value)] : [],
    )
    const at = asked === null ? '' : ` at epsilon ${asked.epsilon}`
    return [
      '',
      `${arm}${at}: ${figures.map(([key, value]) => `${key} ${cell(value)}`).join(', ')}`,
      ...tables,
    ]
  })
}

function tableOf(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const keys = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return table([keys, ...rows.map((row) => keys.map((key) => cell(row[key])))])
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'number' || Number.isInteger(value)) return String(value)
  return String(Number(value.toPrecision(4)))
}
