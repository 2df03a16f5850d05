// The page of a comparison: arms in groups by what they promise, why some have no epsilon, and what single arms say of themselves.
import { expect, it } from 'vitest'
import type { ComparisonReport, ComparisonRow } from '../../src/report/comparison-data.ts'
import { renderComparison } from '../../src/report/comparison-page.ts'
import { groupsOf } from '../../src/report/comparison-words.ts'

const figure = { value: 0.2, low: 0.1, high: 0.3 }

const row = (arm: string, guarantee: ComparisonRow['guarantee'], more: Partial<ComparisonRow> = {}) =>
  ({
    arm,
    about: `about ${arm}`,
    guarantee,
    noEpsilon: null,
    asked: { epsilon: 2 },
    spent: { epsilon: 1.99 },
    perText: null,
    settings: {},
    trials: [],
    grid: 1,
    seeds: [0],
    figures: { 'top-1': figure, 'cross-entropy': figure, 'bits-per-byte': figure },
    difference: {},
    parameters: 10,
    vocabulary: 5,
    meters: null,
    validation: null,
    measures: {},
    seconds: 1,
    failed: null,
    ...more,
  }) as ComparisonRow

function page(rows: ComparisonRow[]): string {
  const report: ComparisonReport = {
    format: 'pretext-comparison',
    version: 1,
    name: 'test',
    dataset: 'test',
    simulation: true,
    clients: {
      clients: 9,
      texts: 9,
      validationClients: 2,
      validationTexts: 2,
      evaluationClients: 3,
      evaluationTexts: 3,
    },
    unit: 'client',
    adjacency: 'add-remove',
    delta: 1e-5,
    epsilons: [{ epsilon: 2 }],
    seeds: [0],
    corpora: 'each',
    trials: 1,
    sequenceTokens: 32,
    resamples: 10,
    groups: groupsOf(rows),
    rows,
    notCovered: [],
    warnings: [],
    command: 'pretext compare test.yaml',
    machine: 'none',
    pretextVersion: '0.0.0',
    finishedAt: '2026-01-01T00:00:00.000Z',
  }
  return renderComparison(report)
}

const between = (text: string, from: string, to: string) => text.slice(text.indexOf(from), text.indexOf(to))

const bare = { asked: null, spent: null, noEpsilon: 'nothing <bounds> it' } as const

it('arms without a guarantee stand in a group of their own, with no epsilon and the reason', () => {
  const plain = { asked: { epsilon: Number.POSITIVE_INFINITY }, spent: { epsilon: Number.POSITIVE_INFINITY } }
  const rows = [
    row('lora', 'none', bare),
    row('fedlpp', 'client'),
    row('fedlpp', 'client', plain),
    row('start', 'public', { asked: null }),
  ]
  const named = groupsOf(rows).map(({ rows: own }) =>
    own.map(({ arm, asked }) => [arm, asked?.epsilon ?? null]),
  )
  // Without noise an arm that can have an epsilon has none.
  expect(named).toEqual([
    [
      ['fedlpp', 2],
      ['start', null],
    ],
    [
      ['lora', null],
      ['fedlpp', Number.POSITIVE_INFINITY],
    ],
  ])
  const results = between(page(rows), '<section id="results">', '<section id="charts">')
  const [first, last] = results.split('<h3>No DP guarantee</h3>') as [string, string]
  expect(first).toContain('1.99')
  expect(first).not.toContain('lora')
  expect(last).toContain('<dt>lora</dt><dd>nothing &lt;bounds&gt; it</dd>')
  expect(last).not.toMatch(/1\.99|<td>2</)
})

it('figures and tables of an arm are shown as they are, whatever they are called', () => {
  const gaps = [
    { bits: 2, gapBefore: 0.00012345, errorOf2: 0.5, rule: 'keep' },
    { bits: 16, gapBefore: null, healed: true },
  ]
  const rows = [
    row('fedlpp', 'client', { measures: { startLoss: 5.90912, gaps, none: [] } }),
    row('lora', 'none', { ...bare, measures: { '<b>': '<script>' } }),
    row('start', 'public'),
  ]
  const shown = between(page(rows), '<section id="measures">', '<section id="paper')
  expect(shown).toContain('<summary>fedlpp at ε 1.99</summary>')
  expect(shown).toContain('<summary>lora, no DP guarantee</summary>')
  expect(shown).not.toContain('<summary>start')
  expect(shown).toContain('<dt>start loss</dt><dd>5.909</dd>')
  expect(shown).toContain(
    '<tr><th>bits</th><th>gap before</th><th>error of 2</th><th class="words">rule</th><th>healed</th></tr>',
  )
  expect(shown).toContain('<td>2</td><td>1.23e-4</td><td>0.5</td><td class="words">keep</td><td>–</td>')
  expect(shown).toContain('<td>16</td><td>–</td><td>–</td><td class="words">–</td><td>true</td>')
  expect(shown).not.toContain('<h3>none</h3>')
  expect(shown).toContain('<dt>&lt;b&gt;</dt><dd>&lt;script&gt;</dd>')
})

it('a long table is cut, and says where the rest is', () => {
  const rounds = Array.from({ length: 45 }, (_, round) => ({ round }))
  const shown = page([row('fedlpp', 'client', { measures: { rounds } })])
  expect(shown).toContain('<td>39</td>')
  expect(shown).not.toContain('<td>40</td>')
  expect(shown).toContain('5 more rows are in comparison.json')
})

it('the paper’s tables have this comparison beside them, by arm and epsilon', () => {
  const figures = (value: number) => {
    const figure = { value, low: value, high: value }
    return { 'top-1': figure, 'cross-entropy': figure, 'bits-per-byte': figure }
  }
  const at = (epsilon: number) => ({ asked: { epsilon }, spent: { epsilon } })
  const shown = between(
    page([
      row('pretext', 'client', { ...at(1.29), figures: figures(0.1234) }),
      row('pretext', 'client', { ...at(7.58), figures: figures(0.2345) }),
      row('public-only', 'public', { asked: null, figures: figures(0.0987) }),
    ]),
    '<section id="paper">',
    '<section id="how">',
  )
  const accuracy = between(shown, 'Their table 2', 'Their table 3')
  const cells = (method: string, epsilon: string) =>
    accuracy.split('<tr>').find((line) => line.startsWith(`<td>${method}</td><td>${epsilon}</td>`))
  expect(cells('PrE-Text', '1.29')).toContain('<td>0.644</td><td><strong>0.123</strong></td>')
  expect(cells('PrE-Text', '7.58')).toContain('<strong>0.234</strong>')
  expect(cells('c4 only', '0')).toContain('<strong>0.099</strong>')
  expect(cells('DP-FTRL', '7.58')).toContain('<strong>–</strong>')
})
