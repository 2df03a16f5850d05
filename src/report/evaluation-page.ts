// evaluation.html: a plot and a table for each metric, every column beside the others, in one file without scripts.
import { lineChart } from './chart.ts'
import type { EvaluationReport, Figure } from './evaluation-data.ts'
import { COLUMN_METRICS, type Metric, MODEL_METRICS } from './evaluation-metrics.ts'
import { count, counted, decimal, timeText } from './figures.ts'
import { html, type Markup } from './markup.ts'
import { renderPage, simulationBanner } from './page.ts'
import { figureTable } from './rounds-section.ts'

export const COLUMN_TITLES: Readonly<Record<string, string>> = {
  initial: 'initial population',
  'expand-only': 'expand-only (no votes)',
  corpus: 'corpus of the run',
  private: 'private texts (ceiling)',
}

interface Row {
  readonly name: string
  readonly texts: string
  readonly figures: Readonly<Record<string, Figure>>
  readonly skipped: Readonly<Record<string, string>>
}

export function renderEvaluation(report: EvaluationReport): string {
  const title = `${report.simulation ? 'SIMULATION: ' : ''}${report.name} – pretext evaluation`
  const columns = report.columns.map(({ name, sets = 1, compared, figures, skipped }) => ({
    name: COLUMN_TITLES[name] ?? name,
    texts: sets === 1 ? counted(compared, 'text') : `${count(sets)} × ${counted(compared, 'text')}`,
    figures,
    skipped,
  }))
  const models = report.models.map(({ name, models: folders, tokens, figures }) => ({
    name: COLUMN_TITLES[name] ?? name,
    texts: `${counted(folders.length, 'model')}, ${counted(tokens, 'token')}`,
    figures,
    skipped: {},
  }))
  const page = html`<main>${heading(report)}${section('models', 'Models trained on them', MODEL_METRICS, models)}${section('columns', 'The texts themselves', COLUMN_METRICS, columns)}${warnings(report)}${howSection(report)}</main>`
  return renderPage(title, report.pretextVersion, page)
}

function heading(report: EvaluationReport): Markup {
  const { reference } = report
  const whose =
    reference.kind === 'consented'
      ? 'people who agreed to reporting, none of them among those whose texts made the corpus'
      : 'the simulation that made the corpus'
  return html`<header><h1>${report.name}: evaluation</h1><p>Against ${counted(reference.texts, 'text')} of ${counted(reference.clients, 'client')}: ${whose}. This page holds figures only, and nothing of it flows back into a run.</p><p class="soft">Finished ${timeText(report.finishedAt)}, data set “${report.dataset}”, pretext ${report.pretextVersion}.</p>${simulationBanner(report.simulation)}</header>\n`
}

function section(id: string, title: string, metrics: readonly Metric[], rows: readonly Row[]): Markup | null {
  const shown = metrics.filter((metric) => rows.some((row) => row.figures[metric.id] !== undefined))
  if (shown.length === 0) return null
  const equal = id === 'columns' ? ' Every column was cut to the same number of texts.' : ''
  return html`<section id="${id}"><h2>${title}</h2><p class="soft">Whiskers are 95% intervals.${equal}</p><div class="charts">${shown.map(
    (metric) => figure(metric, rows),
  )}</div>${shown.map((metric) => metricTable(metric, rows))}</section>\n`
}

export function figureText(metric: Metric, value: number): string {
  return metric.share === true ? `${decimal(value * 100, 1)}%` : decimal(value, 3)
}

function figure(metric: Metric, rows: readonly Row[]): Markup {
  // A gap between neighbours: no line joins what is not a course of something.
  const points = rows.flatMap((row, i) => {
    const known = row.figures[metric.id]
    const scale = metric.share === true ? 100 : 1
    const point =
      known === undefined
        ? { x: short(row.name), y: null }
        : {
            x: short(row.name),
            y: known.value * scale,
            low: known.low * scale,
            high: known.high * scale,
          }
    return i === 0 ? [point] : [{ x: '', y: null }, point]
  })
  return html`<figure><h3>${metric.title}</h3>${lineChart({
    id: `evaluation-${metric.id}`,
    title: metric.title,
    description: rows
      .map(({ name, figures }) => {
        const known = figures[metric.id]
        return `${name}: ${known === undefined ? 'none' : figureText(metric, known.value)}`
      })
      .join(', '),
    xTitle: `${metric.better} is better`,
    points,
    format: (value) => decimal(value, metric.share === true ? 1 : 3),
  })}</figure>`
}

/** The first word, as there is room for no more under a point. */
function short(name: string): string {
  return name.split(' ')[0] as string
}

function metricTable(metric: Metric, rows: readonly Row[]): Markup {
  return figureTable(
    ['', metric.title, '95% interval', 'On'],
    rows.map(({ name, texts, figures, skipped }) => {
      const known = figures[metric.id]
      if (known === undefined) return [name, `none: ${skipped[metric.id] ?? 'not measured'}`, '', '']
      const on = known.texts === undefined ? texts : counted(known.texts, 'text')
      const interval = `${figureText(metric, known.low)} to ${figureText(metric, known.high)}`
      return [name, figureText(metric, known.value), interval, on]
    }),
    `${metric.title}: ${metric.about}`,
  )
}

function warnings({ warnings: lines }: EvaluationReport): Markup | null {
  if (lines.length === 0) return null
  return html`<section id="warnings"><h2>Warnings</h2><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></section>\n`
}

function howSection(report: EvaluationReport): Markup {
  const { reference, embedder } = report
  const entries: (readonly [string, string])[] = [
    [
      'Real texts',
      `${count(reference.texts)} of ${count(reference.clients)} clients; figures of the columns on ${count(reference.comparedTexts)} of ${count(reference.comparedClients)}`,
    ],
    ...(embedder === null ? [] : [['Embedder', `${embedder.model}, ${embedder.dim} dimensions`] as const]),
    [
      'Intervals',
      `at most ${count(report.resamples)} draws over clients, and over models and corpora where there are several`,
    ],
    ['k of precision and recall', String(report.neighbours)],
    ['Sequences', `${report.sequenceTokens} tokens`],
    ['Seed', String(report.seed)],
    ...report.models.map(
      ({ name, models, parameters, vocabulary, cut, texts }) =>
        [
          `Models: ${COLUMN_TITLES[name] ?? name}`,
          `${models.join(', ')}; ${count(parameters)} parameters, ${count(vocabulary)} tokens; ${count(cut)} of ${count(texts)} texts were longer than a sequence`,
        ] as const,
    ),
  ]
  return html`<section id="how"><h2>How it was measured</h2><dl>${entries.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl></section>\n`
}
