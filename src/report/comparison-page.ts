// comparison.html: who won, by how much and at what cost, in one file without scripts. Arms without a DP guarantee stand in a
// group of their own, because their figures are bought with something else.
import { armChart, type Series } from './comparison-charts.ts'
import type { ComparisonReport, ComparisonRow } from './comparison-data.ts'
import { measuresSection } from './comparison-measures.ts'
import { bytesText, epsilonOfRow, flopsText } from './comparison-words.ts'
import type { Figure } from './evaluation-data.ts'
import { count, counted, decimal, deltaText, duration, epsilonText, timeText } from './figures.ts'
import { html, type Insert, type Markup } from './markup.ts'
import { renderPage, simulationBanner } from './page.ts'
import { paperTables } from './paper-tables.ts'

const OURS = 'pretext'

export function renderComparison(report: ComparisonReport): string {
  const page = html`<main>${heading(report)}${warnings(report)}${results(report)}${charts(report)}${differences(report)}${costs(report)}${tuning(report)}${measuresSection(report)}${paperTables(report.rows)}${how(report)}</main>`
  return renderPage(`SIMULATION: ${report.name} – pretext comparison`, report.pretextVersion, page)
}

function heading(report: ComparisonReport): Markup {
  const { clients, rows } = report
  const arms = new Set(rows.map((row) => row.arm)).size
  return html`<header><h1>${report.name}: comparison</h1><p>${counted(arms, 'way', 'ways')} to use the texts of ${counted(clients.clients, 'client')}, from one starting checkpoint, measured on ${counted(clients.evaluationTexts, 'text')} of ${counted(clients.evaluationClients, 'client')} that no arm and no choice of settings saw.</p><p class="soft">Finished ${timeText(report.finishedAt)}, data set “${report.dataset}”, pretext ${report.pretextVersion}.</p>${simulationBanner(true)}</header>\n`
}

function warnings({ warnings: lines }: ComparisonReport): Markup | null {
  if (lines.length === 0) return null
  return html`<div class="warning"><strong>Read this first</strong><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></div>\n`
}

function results(report: ComparisonReport): Markup {
  const groups = report.groups.map(({ title, note, rows: named }) => {
    const rows = report.rows.filter(({ arm, asked }) =>
      named.some((row) => row.arm === arm && row.asked?.epsilon === asked?.epsilon),
    )
    return html`<h3>${title}</h3><p class="soft">${note}</p>${resultTable(rows)}${reasons(rows)}`
  })
  return html`<section id="results"><h2>What they reach</h2><p class="soft">Means over seeds; in brackets 95% intervals by bootstrap over evaluation clients and seeds. Each ε holds for one run at δ = ${deltaText(report.delta)}, ${report.adjacency}, unit ${report.unit}: tuning and several seeds are not in it.</p>${groups}</section>\n`
}

/** Why arms of this group have no epsilon. */
function reasons(rows: readonly ComparisonRow[]): Markup | null {
  const why = rows.filter((row) => row.noEpsilon !== null)
  if (why.length === 0) return null
  return html`<p class="soft">Why they have none:</p><dl>${why.map((row) => html`<dt>${row.arm}</dt><dd>${row.noEpsilon}</dd>`)}</dl>`
}

function resultTable(rows: readonly ComparisonRow[]): Markup {
  return table(
    ['Arm', 'ε', 'Next token', 'Cross-entropy', 'Bits per byte', 'Seeds'],
    rows.map((row) => [
      html`${row.arm === OURS ? html`<strong>${row.arm}</strong>` : row.arm}${row.failed === null ? null : html` <span class="soft">(not whole)</span>`}`,
      row.guarantee === 'none' ? '–' : epsilonOfRow(row),
      interval(row.figures['top-1'], 100, 1, '%'),
      interval(row.figures['cross-entropy'], 1, 3),
      interval(row.figures['bits-per-byte'], 1, 3),
      String(row.seeds.length),
    ]),
  )
}

function charts(report: ComparisonReport): Markup {
  const rows = report.rows.filter((row) => row.figures['top-1'] !== undefined)
  if (rows.length === 0) return html``
  const names = report.epsilons.map(({ epsilon }) => epsilonText(epsilon))
  const place = ({ asked }: ComparisonRow) =>
    asked === null ? null : report.epsilons.findIndex(({ epsilon }) => epsilon === asked.epsilon)
  const perClient = (row: ComparisonRow, of: (meters: NonNullable<ComparisonRow['meters']>) => number) =>
    // A client pays for the rounds that it took part in.
    row.meters === null ? null : (of(row.meters) * row.meters.participations) / report.clients.clients
  const shown: readonly [string, string, string, number, number][] = [
    ['top-1', 'Next token, best guess (%, higher is better)', 'accuracy', 100, 1],
    ['cross-entropy', 'Cross-entropy (lower is better)', 'cross-entropy', 1, 3],
  ]
  return html`<section id="charts"><h2>Against what it costs</h2><p class="soft">Dashed: arms that no ε changes. Lines join the ε of one arm; its name stands at the last of them.</p>${shown.map(
    ([id, title, word, scale, digits]) =>
      html`<h3>${title}</h3><div class="wide-charts"><figure><figcaption>against ε</figcaption>${armChart({
        id: `${id}-epsilon`,
        title: `${word} against epsilon`,
        description: described(rows, id),
        xTitle: 'ε of one run',
        series: seriesOf(rows, id, place, scale, digits),
        format: (value) => value.toFixed(digits),
        x: { categories: names },
      })}</figure><figure><figcaption>against bytes that a client sends and receives over the whole run, on average</figcaption>${armChart(
        {
          id: `${id}-bytes`,
          title: `${word} against bytes`,
          description: described(rows, id),
          xTitle: 'bytes of one client, whole run',
          series: seriesOf(
            rows,
            id,
            (row) => perClient(row, (m) => m.bytesDownPerClientRound + m.bytesUpPerClientRound),
            scale,
            digits,
          ),
          format: (value) => value.toFixed(digits),
          x: { log: bytesText },
        },
      )}</figure><figure><figcaption>against floating-point operations of one client over the whole run</figcaption>${armChart(
        {
          id: `${id}-flops`,
          title: `${word} against client compute`,
          description: described(rows, id),
          xTitle: 'operations of one client, whole run',
          series: seriesOf(rows, id, (row) => perClient(row, (m) => m.clientFlopsPerRound), scale, digits),
          format: (value) => value.toFixed(digits),
          x: { log: flopsText },
        },
      )}</figure></div>`,
  )}</section>\n`
}

function seriesOf(
  rows: readonly ComparisonRow[],
  id: string,
  x: (row: ComparisonRow) => number | null,
  scale: number,
  digits: number,
): Series[] {
  const names = [...new Set(rows.map((row) => row.arm))]
  return names.map((name) => ({
    name,
    ours: name === OURS,
    points: rows
      .filter((row) => row.arm === name)
      .map((row) => {
        const { value, low, high } = row.figures[id] as Figure
        return {
          x: x(row),
          y: value * scale,
          low: low * scale,
          high: high * scale,
          about: `${epsilonOfRow(row)}: ${(value * scale).toFixed(digits)} (${(low * scale).toFixed(digits)} to ${(high * scale).toFixed(digits)})`,
        }
      }),
  }))
}

function described(rows: readonly ComparisonRow[], id: string): string {
  return rows
    .map((row) => `${row.arm}, ${epsilonOfRow(row)}: ${decimal(row.figures[id]?.value ?? Number.NaN, 3)}`)
    .join('; ')
}

function differences(report: ComparisonReport): Markup | null {
  const rows = report.rows.filter((row) => row.difference['top-1'] !== undefined)
  if (rows.length === 0) return null
  return html`<section id="differences"><h2>Beside PrE-Text at the same ε</h2><p class="soft">The arm minus PrE-Text, on the same draws of evaluation clients. An interval without zero is a difference; arms that no ε changes are held against PrE-Text without noise.</p>${table(
    ['Arm', 'ε', 'Next token, points', 'Cross-entropy', 'Better'],
    rows.map((row) => [
      row.arm,
      row.guarantee === 'none' ? '–' : epsilonOfRow(row),
      interval(row.difference['top-1'], 100, 2, '', true),
      interval(row.difference['cross-entropy'], 1, 3, '', true),
      verdict(row),
    ]),
  )}</section>\n`
}

/** By both figures, where both say the same. */
function verdict({ difference }: ComparisonRow): string {
  const sign = (figure: Figure | undefined) =>
    figure === undefined || (figure.low <= 0 && figure.high >= 0) ? 0 : Math.sign(figure.value)
  const accuracy = sign(difference['top-1'])
  const loss = -sign(difference['cross-entropy'])
  if (accuracy === 0 && loss === 0) return 'no difference'
  if (accuracy * loss < 0) return 'each in one'
  return accuracy + loss > 0 ? 'the arm' : 'PrE-Text'
}

function costs(report: ComparisonReport): Markup {
  const rows = report.rows.filter((row) => row.meters !== null)
  return html`<section id="costs"><h2>Meters</h2><p class="soft">Bytes are those of the serialised messages, without HTTP. Client compute is one client’s own work in one round: process time here, and operations of matrix products. Server time and LLM tokens are of the whole run.</p>${table(
    [
      'Arm',
      'ε',
      'Rounds',
      'Participations',
      'Down a round',
      'Up a round',
      'Client CPU',
      'Client operations',
      'Server CPU',
      'LLM tokens',
    ],
    rows.map((row) => {
      const m = row.meters as NonNullable<ComparisonRow['meters']>
      const twoServer = row.measures.bytesUpTwoServer
      return [
        row.arm,
        row.guarantee === 'none' ? '–' : epsilonOfRow(row),
        decimal(m.rounds, 1),
        count(m.participations),
        bytesText(m.bytesDownPerClientRound),
        html`${bytesText(m.bytesUpPerClientRound)}${typeof twoServer === 'number' ? html`<span class="note"> (${bytesText(twoServer)} to two servers)</span>` : null}`,
        secondsText(m.clientCpuSecondsPerRound),
        flopsText(m.clientFlopsPerRound),
        secondsText(m.serverCpuSeconds),
        count(m.llmTokens),
      ]
    }),
  )}</section>\n`
}

function secondsText(seconds: number): string {
  if (seconds === 0) return '0'
  return seconds < 1 ? `${decimal(seconds * 1000, seconds < 0.01 ? 1 : 0)} ms` : duration(seconds)
}

function tuning(report: ComparisonReport): Markup {
  const { clients, trials } = report
  const told =
    trials === 1
      ? 'Nothing was tuned: every arm ran with the settings of the file, or its own defaults.'
      : `At most ${trials} settings for each arm and ε, drawn from its grid; the best by cross-entropy on ${counted(clients.validationClients, 'client')} (${counted(clients.validationTexts, 'text')}) that no arm trains on and that are not evaluation clients. A trial has a seed of its own.`
  return html`<section id="tuning"><h2>Settings</h2><p class="soft">${told}</p>${table(
    ['Arm', 'ε', 'Tried', 'Settings'],
    report.rows.map((row) => [
      row.arm,
      row.guarantee === 'none' ? '–' : epsilonOfRow(row),
      row.trials.length === 0 ? 'none' : `${row.trials.length} of ${row.grid}`,
      html`<code>${settingsText(row.settings)}</code>`,
    ]),
    true,
  )}</section>\n`
}

function settingsText(settings: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(settings)
    .filter(([, value]) => value !== null && !(typeof value === 'object' && Object.keys(value).length === 0))
    .map(([key, value]) => `${key} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`)
  return parts.length === 0 ? 'none' : parts.join(', ')
}

function how(report: ComparisonReport): Markup {
  const { clients } = report
  const start = report.rows.find((row) => row.parameters !== null)
  const entries: readonly (readonly [string, Insert])[] = [
    ['Learned from', `${counted(clients.texts, 'text')} of ${counted(clients.clients, 'client')}`],
    [
      'Settings chosen on',
      `${counted(clients.validationTexts, 'text')} of ${counted(clients.validationClients, 'client')}`,
    ],
    [
      'Evaluated on',
      `${counted(clients.evaluationTexts, 'text')} of ${counted(clients.evaluationClients, 'client')}`,
    ],
    [
      'Model',
      start === undefined
        ? 'none'
        : `${count(start.parameters ?? 0)} parameters, ${count(start.vocabulary ?? 0)} tokens, sequences of ${report.sequenceTokens}`,
    ],
    ['Seeds', report.seeds.join(', ')],
    [
      'Corpora',
      report.corpora === 'each' ? 'each seed has releases of its own' : `${report.corpora} for all seeds`,
    ],
    ['Intervals', `${count(report.resamples)} draws over evaluation clients and seeds`],
    ['Machine', report.machine],
    ['Command', html`<code>${report.command}</code>`],
    ['What no ε covers', html`<ul>${report.notCovered.map((line) => html`<li>${line}</li>`)}</ul>`],
  ]
  const about = [...new Map(report.rows.map((row) => [row.arm, row.about]))]
  return html`<section id="how"><h2>How it was measured</h2><dl>${entries.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl><h3>The arms</h3><dl>${about.map(([name, words]) => html`<dt>${name}</dt><dd>${words}</dd>`)}</dl></section>\n`
}

function interval(
  figure: Figure | undefined,
  scale: number,
  digits: number,
  unit = '',
  signed = false,
): Insert {
  if (figure === undefined) return 'none'
  const text = (value: number) => `${signed && value > 0 ? '+' : ''}${(value * scale).toFixed(digits)}`
  return html`${text(figure.value)}${unit}<span class="note"> (${text(figure.low)} to ${text(figure.high)})</span>`
}

function table(head: readonly string[], rows: readonly (readonly Insert[])[], words = false): Markup {
  return html`<div class="scroll"><table><thead><tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr></thead><tbody>${rows.map(
    (cells) =>
      html`<tr>${cells.map((cell, i) => (words && i === cells.length - 1 ? html`<td class="words">${cell}</td>` : html`<td>${cell}</td>`))}</tr>`,
  )}</tbody></table></div>`
}
