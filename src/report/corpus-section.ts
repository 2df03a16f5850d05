// The corpus: how many texts, how long, with which labels, why texts were rejected, and samples of it and of the first
// and the last population.
import { barChart } from './chart.ts'
import type { RunReport } from './data.ts'
import { count, counted, percent } from './figures.ts'
import { html, type Markup } from './markup.ts'
import { figureTable } from './rounds-section.ts'

export function lengthsSection(report: RunReport): Markup {
  const { corpus } = report
  const bins = corpus.lengths
  const rejected = Object.entries(corpus.rejected).filter(([, texts]) => texts > 0)
  const labels = Object.entries(corpus.labels).sort(([, a], [, b]) => b - a)
  const share = (texts: number): string => percent(corpus.texts > 0 ? texts / corpus.texts : 0)
  const asked =
    corpus.texts === corpus.requested
      ? ', as many as were asked for'
      : ` of the ${count(corpus.requested)} that were asked for`
  const chart =
    bins.length > 0
      ? html`<div class="charts one"><figure><h3>Length of the texts</h3>${barChart({
          id: 'lengths',
          title: 'Lengths of the texts of the corpus',
          description: `Histogram of the number of words, from ${bins[0]?.fromWords} to ${bins.at(-1)?.toWords}.`,
          xTitle: 'words',
          values: bins.map((bin) => bin.texts),
          labels: [...bins.map((bin) => String(bin.fromWords)), String((bins.at(-1)?.toWords ?? 0) + 1)],
          labelsAt: 'edge',
        })}</figure></div>${figureTable(
          ['Words', 'Texts', 'Share'],
          bins.map((bin) => [`${bin.fromWords} to ${bin.toWords}`, count(bin.texts), share(bin.texts)]),
        )}`
      : null
  return html`<section id="corpus"><h2>The corpus</h2><p>${counted(corpus.texts, 'text')}${asked}, expanded from ${counted(corpus.seeds, 'seed')} (survivors).</p>${chart}${
    labels.length > 0
      ? figureTable(
          ['Label', 'Texts', 'Share'],
          labels.map(([label, texts]) => [label, count(texts), share(texts)]),
          `Labels (${labels.length})`,
        )
      : null
  }${
    rejected.length > 0
      ? figureTable(
          ['Why', 'Texts'],
          rejected.map(([why, texts]) => [why, count(texts)]),
          `Rejected: ${counted(
            rejected.reduce((sum, [, n]) => sum + n, 0),
            'text',
          )}`,
        )
      : null
  }</section>\n`
}

function texts(samples: readonly { readonly text: string; readonly label?: string }[]): Markup {
  // dir="auto" also isolates a text, so that direction marks in it cannot reorder the page.
  return html`<div class="texts">${samples.map((sample) => html`<blockquote class="text" dir="auto">${sample.label === undefined ? null : html`<span class="text-label">${sample.label}</span>\n`}${sample.text}</blockquote>`)}</div>`
}

export function samplesSection(report: RunReport): Markup {
  const first = report.rounds[0]
  const last = report.rounds.at(-1)
  const side = (heading: string, samples: readonly string[]): Markup =>
    html`<div><h3>${heading}</h3>${texts(samples.map((text) => ({ text })))}</div>`
  return html`<section id="samples"><h2>Samples</h2><p class="soft">Written by the language model, or public texts where the run began with some; none is a private text.</p><h3>From the corpus</h3>${texts(report.corpus.samples)}${
    first && last && first !== last
      ? html`<div class="sides">${side(`First population (round ${first.round})`, first.samples)}${side(`Last population (round ${last.round})`, last.samples)}</div>`
      : first
        ? html`<div class="sides">${side(`Population of round ${first.round}`, first.samples)}</div>`
        : null
  }</section>\n`
}
