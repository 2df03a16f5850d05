// What happened round by round: spend, noisy votes, distance of the consented texts, diversity. All of it was released
// with noise, is synthetic, or comes from consented texts.

import { barChart, lineChart } from './chart.ts'
import type { Diversity, Interval, RoundReport, RunReport } from './data.ts'
import { diversityWarning } from './diversity.ts'
import { count, decimal, deltaText, epsilonText, percent } from './figures.ts'
import { html, type Insert, type Markup } from './markup.ts'

/** A table behind a summary: the figures of the chart above it. */
export function figureTable(
  head: readonly string[],
  rows: readonly (readonly Insert[])[],
  summary = 'Figures',
): Markup {
  return html`<details><summary>${summary}</summary><div class="scroll"><table><thead><tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr></thead><tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div></details>\n`
}

function figure(heading: string, chart: Markup, caption?: Insert): Markup {
  return html`<figure><h3>${heading}</h3>${chart}${caption ? html`<figcaption>${caption}</figcaption>` : null}</figure>\n`
}

export function spendSection(report: RunReport): Markup {
  const { rounds, privacy } = report
  const drawable = rounds.length > 0 && rounds.every((round) => Number.isFinite(round.epsilon))
  const chart = drawable
    ? html`<div class="charts one">${figure(
        'Epsilon spent, cumulative',
        lineChart({
          id: 'spend',
          title: 'Cumulative epsilon by round',
          description: `From ${epsilonText(rounds[0]?.epsilon ?? 0)} after the first round to ${epsilonText(rounds.at(-1)?.epsilon ?? 0)} after the last, at delta ${deltaText(privacy.delta)}.`,
          xTitle: 'round',
          points: rounds.map((round) => ({ x: String(round.round), y: round.epsilon })),
          zero: true,
          format: epsilonText,
        }),
      )}</div>`
    : html`<p>Nothing to draw: without enough noise every round has an endless epsilon.</p>`
  return html`<section id="spend"><h2>Spend by round</h2><p class="soft">At δ = ${deltaText(privacy.delta)}, ${privacy.adjacency} adjacency, for this run alone.</p>${chart}${figureTable(
    ['Round', 'ε so far'],
    rounds.map((round) => [round.round, epsilonText(round.epsilon)]),
  )}</section>\n`
}

/** The survivors' votes: the highest, however they were chosen. */
function survives(round: RoundReport): (vote: number, index: number) => boolean {
  return (_, index) => index < round.survivors
}

function votesChart(round: RoundReport, cover: readonly number[]): Markup {
  const shown = round.noisyVotes.length
  const marked = round.noisyVotes.filter(survives(round)).length
  return figure(
    `Round ${round.round}`,
    barChart({
      id: `votes-${round.round}`,
      title: `Noisy votes of round ${round.round}`,
      description: `The ${count(shown)} highest of ${count(round.populationSize)} noisy votes, highest first; ${count(marked)} of those shown survive${round.threshold === null ? '' : `, by a threshold of ${decimal(round.threshold)}`}.`,
      xTitle: `candidates, most votes first (${count(shown)} of ${count(round.populationSize)})`,
      values: round.noisyVotes,
      marked: survives(round),
      labels: Array.from({ length: shown + 1 }, (_, i) => String(i)),
      labelsAt: 'edge',
      band: round.sigma,
      cover,
      ...(round.threshold === null
        ? {}
        : { reference: { value: round.threshold, label: `threshold ${decimal(round.threshold)}` } }),
    }),
    html`${count(round.survivors)} survivors; noise σ = ${decimal(round.sigma)}`,
  )
}

export function votesSection(report: RunReport): Markup {
  const { rounds } = report
  // One scale for all rounds, so that they can be compared.
  const all = rounds.flatMap((round) => [...round.noisyVotes, round.threshold ?? 0])
  const cover = all.length > 0 ? [Math.min(...all), Math.max(...all)] : []
  const few = 12
  const charts = (some: readonly RoundReport[]): Markup =>
    html`<div class="charts">${some.map((round) => votesChart(round, cover))}</div>`
  const middle = rounds.length > few ? rounds.slice(few / 2, -few / 2) : []
  const shown = rounds.filter((round) => !middle.includes(round))
  return html`<section id="votes"><h2>Noisy votes</h2><p class="soft">In units of one client's vote bound. <span class="key"></span> survivors, <span class="key back"></span> the rest, <span class="key noise"></span> within one standard deviation of the noise, where a vote cannot be told from none.</p>${charts(shown)}${
    middle.length > 0
      ? html`<details><summary>Rounds ${middle[0]?.round} to ${middle.at(-1)?.round}</summary>${charts(middle)}</details>`
      : null
  }${figureTable(
    ['Round', 'Population', 'Survivors', 'Threshold', 'Noise σ', 'Highest vote', 'Lowest shown'],
    rounds.map((round) => [
      round.round,
      count(round.populationSize),
      count(round.survivors),
      round.threshold === null ? 'top share' : decimal(round.threshold),
      decimal(round.sigma),
      round.noisyVotes.length > 0 ? decimal(round.noisyVotes[0] ?? 0) : '–',
      round.noisyVotes.length > 0 ? decimal(round.noisyVotes.at(-1) ?? 0) : '–',
    ]),
  )}${figureTable(
    ['Round', 'Noisy votes'],
    rounds.map((round) => [
      round.round,
      html`<span class="words">${round.noisyVotes.map((vote) => decimal(vote, 2)).join(' ')}</span>`,
    ]),
    'Every noisy vote shown',
  )}</section>\n`
}

function intervalCells(interval: Interval | null): readonly string[] {
  return interval === null
    ? ['–', '–']
    : [decimal(interval.mean, 4), `${decimal(interval.low, 4)} to ${decimal(interval.high, 4)}`]
}

export function distanceSection(report: RunReport): Markup {
  const { rounds, final } = report
  const steps = [
    ...rounds.map((round) => ({ x: String(round.round), interval: round.consentedDistance })),
    { x: 'end', interval: final.consentedToPopulation },
  ]
  const known = steps.filter((step) => step.interval !== null)
  if (known.length === 0 && final.consentedToCorpus === null) {
    return html`<section id="distance"><h2>Distance of the consented texts</h2><p>Not measured: the config names no consented texts. They are the only way to see without spending privacy whether the rounds help.</p></section>\n`
  }
  const corpus = final.consentedToCorpus
  const chart =
    known.length > 0
      ? html`<div class="charts one">${figure(
          'Mean cosine distance to the nearest candidate',
          lineChart({
            id: 'distance',
            title: 'Distance of the consented texts to the population by round',
            description: `Mean cosine distance from ${decimal(known[0]?.interval?.mean ?? 0)} to ${decimal(known.at(-1)?.interval?.mean ?? 0)}, with a 95 percent bootstrap interval over clients.`,
            xTitle: 'round voted on; end: after the last round',
            points: steps.map(({ x, interval }) =>
              interval === null
                ? { x, y: null }
                : { x, y: interval.mean, low: interval.low, high: interval.high },
            ),
            format: (y) => decimal(y),
            ...(corpus === null
              ? {}
              : { reference: { value: corpus.mean, label: `corpus ${decimal(corpus.mean)}` } }),
          }),
          'Lower is closer. Band: 95% bootstrap over clients.',
        )}</div>`
      : null
  return html`<section id="distance"><h2>Distance of the consented texts</h2><p class="soft">Consented texts are for reporting only: no choice inside the run depends on them. A set of more texts is nearer to anything, so compare the corpus with the populations with care.</p>${chart}${figureTable(
    ['Set', 'Mean distance', '95% interval'],
    [
      ...steps.map(({ x, interval }) => [
        x === 'end' ? 'population at the end' : `population of round ${x}`,
        ...intervalCells(interval),
      ]),
      ['corpus', ...intervalCells(corpus)],
    ],
  )}</section>\n`
}

/** What a run is warned of its populations, in the words that the run itself used. */
export function diversityWarnings(report: RunReport): readonly string[] {
  const { rounds, corpus } = report
  return [
    ...rounds.map((round) =>
      diversityWarning(round.diversity, round.populationSize, `of round ${round.round}`),
    ),
    diversityWarning(corpus.diversity, corpus.texts, 'of the corpus'),
  ].filter((warning) => warning !== undefined)
}

export function diversitySection(report: RunReport): Markup {
  const { rounds, corpus } = report
  const small = (
    id: string,
    title: string,
    pick: (d: Diversity) => number,
    format: (x: number) => string,
    caption: string,
  ): Markup =>
    figure(
      title,
      lineChart({
        id,
        title: `${title} by round`,
        description: `From ${format(pick(rounds[0]?.diversity ?? corpus.diversity))} in the first population to ${format(pick(rounds.at(-1)?.diversity ?? corpus.diversity))} in the last; corpus ${format(pick(corpus.diversity))}.`,
        xTitle: 'round',
        zero: true,
        points: rounds.map((round) => ({ x: String(round.round), y: pick(round.diversity) })),
        format,
        reference: { value: pick(corpus.diversity), label: `corpus ${format(pick(corpus.diversity))}` },
      }),
      caption,
    )
  const warnings = diversityWarnings(report)
  const row = (name: Insert, d: Diversity): readonly Insert[] => [
    name,
    decimal(d.distinct1),
    decimal(d.distinct2),
    percent(d.equalOpenings),
    d.commonOpening,
  ]
  return html`<section id="diversity"><h2>Diversity</h2>${warnings.map((warning) => html`<p class="warning"><strong>Warning:</strong> ${warning}</p>`)}<div class="charts">${small(
    'distinct-2',
    'Different word pairs',
    (d) => d.distinct2,
    (x) => decimal(x),
    'Different pairs divided by all pairs (distinct-2).',
  )}${small(
    'distinct-1',
    'Different words',
    (d) => d.distinct1,
    (x) => decimal(x),
    'Different words divided by all words (distinct-1).',
  )}${small(
    'openings',
    'Equal openings, %',
    (d) => 100 * d.equalOpenings,
    (x) => percent(x / 100),
    'Share of texts with the most common two-word opening; lower is better.',
  )}</div>${figureTable(
    ['Round', 'Distinct-1', 'Distinct-2', 'Equal openings', 'Most common opening'],
    [...rounds.map((round) => row(round.round, round.diversity)), row('corpus', corpus.diversity)],
  )}</section>\n`
}
