// What single arms measured of themselves, as they say it: figures in a list, rows in a table. Folded away: it is for whoever
// asks about one arm.
import type { ComparisonReport, ComparisonRow } from './comparison-data.ts'
import { epsilonOfRow } from './comparison-words.ts'
import { html, type Markup } from './markup.ts'

/** Most rows of one table; the JSON twin has them all. */
const ROWS = 40

export function measuresSection(report: ComparisonReport): Markup | null {
  const rows = report.rows.filter((row) => Object.keys(row.measures).length > 0)
  if (rows.length === 0) return null
  return html`<section id="measures"><h2>What the arms say of themselves</h2><p class="soft">Of the first seed of each. Their pages in docs/ say what the words mean.</p>${rows.map(details)}</section>\n`
}

function details(row: ComparisonRow): Markup {
  const epsilon = row.guarantee === 'client' ? ` at ε ${epsilonOfRow(row)}` : `, ${epsilonOfRow(row)}`
  const entries = Object.entries(row.measures).filter(
    ([, value]) => !(Array.isArray(value) && value.length === 0),
  )
  const single = entries.filter(([, value]) => !Array.isArray(value))
  const tables = entries.filter((entry): entry is [string, Record<string, unknown>[]] =>
    Array.isArray(entry[1]),
  )
  return html`<details><summary>${row.arm}${epsilon}</summary>${
    single.length === 0
      ? null
      : html`<dl>${single.map(([name, value]) => html`<dt>${wordsOf(name)}</dt><dd>${shown(value)}</dd>`)}</dl>`
  }${tables.map(([name, all]) => html`<h3>${wordsOf(name)}</h3>${tableOf(all)}`)}</details>`
}

function tableOf(rows: readonly Record<string, unknown>[]): Markup {
  const head = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const more = rows.length - ROWS
  const words = new Set(head.filter((name) => rows.some((row) => typeof row[name] === 'string')))
  const cell = (row: Record<string, unknown>, name: string) =>
    words.has(name) ? html`<td class="words">${shown(row[name])}</td>` : html`<td>${shown(row[name])}</td>`
  return html`<div class="scroll"><table><thead><tr>${head.map((name) =>
    words.has(name) ? html`<th class="words">${wordsOf(name)}</th>` : html`<th>${wordsOf(name)}</th>`,
  )}</tr></thead><tbody>${rows
    .slice(0, ROWS)
    .map((row) => html`<tr>${head.map((name) => cell(row, name))}</tr>`)}</tbody></table></div>${
    more > 0 ? html`<p class="soft">${more} more rows are in comparison.json.</p>` : null
  }`
}

/** "bytesUpTwoServer" as "bytes up two server", "errorOf2" as "error of 2". */
function wordsOf(name: string): string {
  return name
    .replace(/([a-z])([0-9])/g, '$1 $2')
    .replace(/([a-z0-9])([A-Z])/g, (_, before: string, letter: string) => `${before} ${letter.toLowerCase()}`)
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '–'
  if (typeof value !== 'number') return String(value)
  if (value === Number.POSITIVE_INFINITY) return '∞'
  if (Number.isInteger(value)) return value.toLocaleString('en-US')
  return Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)))
}
