// report.html: everything a run has to tell, in one file that needs nothing else: no script, no font, no network.
import { lengthsSection, samplesSection } from './corpus-section.ts'
import type { RunReport } from './data.ts'
import { count, counted, dollarsText, duration, timeText } from './figures.ts'
import { html, type Insert, type Markup } from './markup.ts'
import { renderPage, simulationBanner } from './page.ts'
import { privacyStatement } from './privacy-statement.ts'
import {
  distanceSection,
  diversitySection,
  diversityWarnings,
  spendSection,
  votesSection,
} from './rounds-section.ts'

/** The whole report as one HTML document; the same report gives the same bytes. */
export function renderReport(report: RunReport): string {
  const { run } = report
  const title = `${report.simulation ? 'SIMULATION: ' : ''}${run.name} – pretext report`
  const page = html`<main>${heading(report)}${privacyHero(report)}${spendSection(report)}${votesSection(report)}${distanceSection(report)}${lengthsSection(report)}${diversitySection(report)}${samplesSection(report)}${modelsSection(report)}${list('prior-knowledge', 'What the run was told beforehand', report.priorKnowledge, 'Nothing: no domain hint, no labels, no public texts.')}${list('warnings', 'Warnings', report.warnings, 'None besides what is marked above.')}${reproduceSection(report)}</main>`
  return renderPage(title, run.pretextVersion, page)
}

function heading(report: RunReport): Markup {
  const { run, corpus, rounds } = report
  const warnings = new Set([...report.warnings, ...diversityWarnings(report)]).size
  const where = report.warnings.length > 0 ? '#warnings' : '#diversity'
  return html`<header><h1>${run.name}</h1><p>${counted(corpus.texts, 'synthetic text')} made in ${counted(rounds.length, 'round')} of private evolution (PrE-Text) from the data set “${run.dataset}”, whose own texts no language model has seen and this report does not contain.</p><p class="soft">Finished ${timeText(run.finishedAt)} after ${duration(run.seconds)}, run ${run.id}, pretext ${run.pretextVersion}.${warnings > 0 ? html` <a href="${where}">${counted(warnings, 'warning')}</a>.` : null}</p>${simulationBanner(report.simulation)}</header>\n`
}

function definitions(entries: readonly (readonly [string, Insert, (string | undefined)?])[]): Markup {
  return html`<dl>${entries.map(([term, value, note]) => html`<dt>${term}</dt><dd>${value}${note === undefined ? null : html`<span class="note">${note}</span>`}</dd>`)}</dl>`
}

function privacyHero(report: RunReport): Markup {
  const statement = privacyStatement(report)
  return html`<section class="hero" id="privacy"><h2>Privacy</h2><p class="epsilon">${statement.headline}</p><p>${statement.sentence}</p>${definitions(
    statement.facts.map((fact) => [fact.term, fact.value, fact.note]),
  )}<div class="not-covered"><h3>What this does not cover</h3><ul>${statement.notCovered.map((line) => html`<li>${line}</li>`)}</ul></div></section>\n`
}

function modelsSection(report: RunReport): Markup {
  const { llm, embedder } = report
  const cost =
    llm.dollars === null
      ? 'no price is known for this model'
      : `${dollarsText(llm.dollars)}${llm.pricesDate === null ? '' : `, by prices of ${llm.pricesDate}`}`
  return html`<section id="models"><h2>Models and cost</h2><h3>Language model</h3>${definitions([
    ['Model', llm.id],
    ['Calls', count(llm.calls), `and ${count(llm.cachedCalls)} answered from the cache`],
    ['Tokens', `${count(llm.promptTokens)} in prompts, ${count(llm.completionTokens)} in completions`],
    ['Cost', cost],
  ])}<h3>Embedder</h3>${definitions([
    ['Model', `${embedder.model} (${embedder.kind})`],
    [
      'Form',
      `${embedder.dtype}, ${embedder.dim} dimensions, ${embedder.pooling} pooling, ${embedder.normalised ? 'unit length' : 'not normalised'}`,
    ],
    ['Device', embedder.device],
    ['SHA-256', html`<code>${embedder.sha256}</code>`],
  ])}</section>\n`
}

function list(id: string, title: string, lines: readonly string[], none: string): Markup {
  return html`<section id="${id}"><h2>${title}</h2>${lines.length > 0 ? html`<ul>${lines.map((line) => html`<li>${line}</li>`)}</ul>` : html`<p>${none}</p>`}</section>\n`
}

function reproduceSection(report: RunReport): Markup {
  const { run } = report
  return html`<section id="reproduce"><h2>To do it again</h2><pre><code>${run.command}</code></pre>${definitions(
    [
      ['Config hash', html`<code>${run.configHash}</code>`],
      [
        'Seed',
        String(run.seed),
        'It fixes every draw but the privacy noise, which is fresh in each run and charged again.',
      ],
      ['Started', timeText(run.startedAt)],
      ['Finished', timeText(run.finishedAt)],
    ],
  )}</section>\n`
}
