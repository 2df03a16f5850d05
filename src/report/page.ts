// The frame of a page that needs nothing else: no script, no font, no network. Reports and evaluations are put into it.
import { html, type Markup, markupText } from './markup.ts'
import { SIMULATION_BANNER } from './privacy-statement.ts'
import { STYLE } from './style.ts'

/** The whole document; the same arguments give the same bytes. */
export function renderPage(title: string, pretextVersion: string, page: Markup): string {
  // STYLE is the one string that goes in as it is: it is ours and holds no markup.
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="${markupText(html`pretext ${pretextVersion}`)}">
<title>${markupText(html`${title}`)}</title>
<style>${STYLE}</style>
</head>
<body>
${markupText(page)}
</body>
</html>
`
}

/** What every page about simulation data says first. */
export function simulationBanner(simulation: boolean): Markup | null {
  if (!simulation) return null
  return html`<p class="banner" role="note"><strong>Simulation.</strong>${SIMULATION_BANNER.replace(/^Simulation\./, '')}</p>`
}
