// evaluation.html: one plot a metric, hostile names escaped, the reason where a figure is missing, the banner of simulations.
import { describe, expect, it } from 'vitest'
import type { EvaluationReport } from '../../src/report/evaluation-data.ts'
import { COLUMN_METRICS, MODEL_METRICS } from '../../src/report/evaluation-metrics.ts'
import { figureText, renderEvaluation } from '../../src/report/evaluation-page.ts'

const figure = { value: 0.5, low: 0.4, high: 0.6 }
const all = (ids: readonly { id: string }[]) => Object.fromEntries(ids.map(({ id }) => [id, figure]))

function report(change: Partial<EvaluationReport> = {}): EvaluationReport {
  return {
    format: 'pretext-evaluation',
    version: 1,
    name: 'bugs',
    dataset: '<script>alert(1)</script>',
    simulation: false,
    reference: { kind: 'consented', clients: 327, texts: 2113, comparedClients: 300, comparedTexts: 2000 },
    embedder: { model: 'all-MiniLM-L6-v2', dim: 384, sha256: 'aa' },
    neighbours: 3,
    resamples: 1000,
    sequenceTokens: 64,
    seed: 0,
    columns: [
      { name: 'initial', texts: 1024, compared: 1000, figures: all(COLUMN_METRICS), skipped: {} },
      {
        name: 'corpus',
        texts: 1000,
        compared: 1000,
        figures: { fid: { value: 0.31, low: 0.29, high: 0.33 }, 'self-bleu': { ...figure, texts: 200 } },
        skipped: { mauve: 'no package <mauve>' },
      },
    ],
    models: [
      {
        name: 'corpus',
        models: ['m1', 'm2'],
        figures: all(MODEL_METRICS),
        tokens: 70_000,
        texts: 2113,
        clients: 327,
        cut: 3,
        vocabulary: 8192,
        parameters: 13_800_000,
      },
    ],
    warnings: [],
    pretextVersion: '0.1.0',
    finishedAt: '2026-11-22T10:00:00.000Z',
    ...change,
  }
}

describe('evaluation.html', () => {
  const page = renderEvaluation(report())

  it('has a plot for each metric, with its interval and the columns side by side', () => {
    expect(page.match(/<svg /g)).toHaveLength(MODEL_METRICS.length + COLUMN_METRICS.length)
    expect(page).toContain('<title>corpus: 0.31 (0.29 to 0.33)</title>')
    expect(page).toContain('initial population: 0.5, corpus of the run: 0.31')
    expect(page.match(/class="whisker"/g)?.length).toBeGreaterThan(COLUMN_METRICS.length)
    // No line joins columns: each point is a stroke of its own.
    expect(page).not.toMatch(/class="line" d="M[^"]*L/)
  })

  it('says how many texts, clients, tokens and models each figure is of', () => {
    for (const said of [
      '2,113 of 327 clients; figures of the columns on 2,000 of 300',
      '2 models, 70,000 tokens',
      '<td>200 texts</td>',
      '<td>1,000 texts</td>',
      '3 of 2,113 texts were longer than a sequence',
    ]) {
      expect(page).toContain(said)
    }
  })

  it('says why a figure is missing, and escapes whatever came in', () => {
    expect(page).toContain('none: no package &lt;mauve&gt;')
    expect(page).toContain('none: not measured')
    expect(page).not.toContain('<script>')
  })

  it('carries the banner of a simulation, and only of one', () => {
    expect(page).not.toContain('class="banner"')
    const simulated = renderEvaluation(report({ simulation: true }))
    expect(simulated).toContain('<p class="banner" role="note"><strong>Simulation.</strong>')
    expect(simulated).toContain('<title>SIMULATION: bugs')
  })

  it('leaves out a section without figures', () => {
    expect(renderEvaluation(report({ models: [] }))).not.toContain('id="models"')
  })

  it('every metric has a name, a direction and a caveat of its own', () => {
    const metrics = [...MODEL_METRICS, ...COLUMN_METRICS]
    expect(new Set(metrics.map(({ id }) => id)).size).toBe(metrics.length)
    expect(new Set(metrics.map(({ about }) => about)).size).toBe(metrics.length)
    expect(figureText({ id: '', title: '', better: 'higher', about: '', share: true }, 0.1234)).toBe('12.3%')
  })
})
