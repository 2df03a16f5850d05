// comparison.html.
import type { ComparisonReport } from './comparison-data.ts'
import { html } from './markup.ts'
import { renderPage, simulationBanner } from './page.ts'

export function renderComparison(report: ComparisonReport): string {
  const page = html`<main><h1>${report.name}</h1>${simulationBanner(true)}</main>`
  return renderPage(`SIMULATION: ${report.name} – comparison`, report.pretextVersion, page)
}
