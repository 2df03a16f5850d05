// Promises of report.html: it says what a reader must know, needs nothing else, and hostile texts stay texts.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RunReport } from '../../src/report/data.ts'
import { renderReport } from '../../src/report/html.ts'
import { escapeHtml, html, type Markup, markupText } from '../../src/report/markup.ts'
import { exampleReport, simulationReport } from './example.ts'

/** Elements by a strict reading: every tag must be known and closed in order, every attribute quoted. */
function elements(page: string): string[] {
  const withoutStyle = page.replace(/<style>[^<]*<\/style>/, '').replace(/^<!doctype html>/, '')
  const open: string[] = []
  const seen: string[] = []
  for (const [tag] of withoutStyle.matchAll(/<[^>]*>/g)) {
    const parts = /^<(\/?)([a-z][a-z0-9]*)((?: [a-zA-Z0-9:-]+="[^"<>]*")*)(\/?)>$/.exec(tag)
    expect(parts, `not a tag of ours: ${tag}`).not.toBeNull()
    const [, closing, name = '', , self] = parts ?? []
    if (closing) expect(open.pop()).toBe(name)
    else {
      seen.push(name)
      if (!self && name !== 'meta') open.push(name)
    }
  }
  expect(open).toEqual([])
  return seen
}

const HOSTILE = [
  '</script><script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  "' onmouseover='alert(1)",
  '</blockquote></main><h1>gone</h1>',
  '<!-- open',
  ']]> &lt;b&gt; \u202eabc\u0000\u001b[31m \ud800',
  '{{constructor}} <%= x %> [[y]]',
]

/** Every string of the report becomes `text`, except those of the format and of closed lists. */
function poisoned(report: RunReport, text: string): RunReport {
  const closed = new Set(['format', 'unit', 'adjacency', 'aggregation'])
  const walk = (value: unknown, key: string): unknown => {
    if (typeof value === 'string') return closed.has(key) ? value : text
    if (Array.isArray(value)) return value.map((item) => walk(item, key))
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([k, v]) => [
          key === 'labels' || key === 'rejected' ? text : k,
          walk(v, k),
        ]),
      )
    }
    return value
  }
  return walk(report, '') as RunReport
}

describe('the report', () => {
  const page = renderReport(exampleReport())

  it('states the privacy first, with unit, adjacency, the other adjacency, noise, bound, releases and the data set', () => {
    for (const words of [
      'ε = 1.64 at δ = 1e-5',
      'one client, with all of its texts together',
      'add-remove: adding or removing all the texts of one client',
      'under substitution adjacency: ε = 2.46 at δ = 1e-5',
      '5.243',
      'L2 norm at most 1',
      'the process that ran the job (trusted aggregation)',
      '1 of them was lost in a crash and drawn again under the same charge',
      'ε = 2.34 at δ = 1e-5',
      '9 releases in 2 runs',
      'the language model and the embedder: what they learned in their own training',
    ]) {
      expect(page).toContain(words)
    }
  })

  it('keeps the order: privacy, spend, votes, distance, corpus, diversity, samples, models, prior knowledge, warnings, reproduction', () => {
    const ids = [...page.matchAll(/<section (?:class="hero" )?id="([a-z-]+)"/g)].map((match) => match[1])
    expect(ids).toEqual([
      'privacy',
      'spend',
      'votes',
      'distance',
      'corpus',
      'diversity',
      'samples',
      'models',
      'prior-knowledge',
      'warnings',
      'reproduce',
    ])
  })

  it('needs nothing from elsewhere', () => {
    expect(elements(page)).not.toContain('script')
    expect(page).not.toMatch(/https?:|src=|@import|url\(|<link|<iframe/)
    expect(page).toContain(`content="default-src 'none'; style-src 'unsafe-inline'"`)
  })

  it('is well-formed, has unique ids, and names and describes every chart', () => {
    const seen = elements(page)
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((match) => match[1])
    expect(new Set(ids).size).toBe(ids.length)
    const charts = seen.filter((name) => name === 'svg').length
    expect(charts).toBe(1 + 5 + 1 + 1 + 3)
    for (const [, labels = ''] of page.matchAll(/<svg [^>]*aria-labelledby="([^"]+)"/g)) {
      for (const id of labels.split(' ')) expect(ids).toContain(id)
    }
    expect(seen.filter((name) => name === 'table').length).toBeGreaterThanOrEqual(6)
  })

  it('draws no coordinate that is not a number', () => {
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/)
  })

  it('marks the narrow round, counts each warning once, and repeats the command and the hash', () => {
    const warning = '28% of the texts of round 5 begin with &quot;I recently&quot;'
    expect(page).toContain(warning)
    expect(page).toContain('>2 warnings</a>')
    const listed = exampleReport()
    const both = renderReport({
      ...listed,
      warnings: [
        '28% of the texts of round 5 begin with "I recently": the sampler is too narrow; raise topP or temperature, lower minP',
      ],
    })
    expect(both).toContain('>1 warning</a>')
    expect(page).toContain('pretext run configs/paper.yaml --set evolution.rounds=5 --seed 7')
    expect(page).toContain(listed.run.configHash)
  })

  it('colours exactly the votes at or above the threshold', () => {
    const report = exampleReport()
    const [round] = report.rounds
    if (round === undefined) throw new Error('the example has rounds')
    const small = { ...round, noisyVotes: [3, 2, 1, -1], threshold: 2, survivors: 2 }
    const one = renderReport({ ...report, rounds: [small] })
    const bars = (name: string): number =>
      (new RegExp(`<path class="${name}" d="([^"]*)"`).exec(one)?.[1]?.match(/M/g) ?? []).length
    expect([bars('bar'), bars('bar-back')]).toEqual([2, 2])
    const share = renderReport({ ...report, rounds: [{ ...small, threshold: null, survivors: 3 }] })
    expect(/<path class="bar" d="([^"]*)"/.exec(share)?.[1]?.match(/M/g)?.length).toBe(3)
    expect(share).not.toContain('threshold 2')
  })

  it('gives the same bytes for the same report', () => {
    expect(renderReport(exampleReport())).toBe(page)
  })

  it('carries the simulation banner in the title and in the text, and says that there is no privacy', () => {
    const simulation = renderReport(simulationReport())
    expect(simulation).toContain('<title>SIMULATION: debian bug reports')
    expect(simulation).toContain('class="banner"')
    expect(simulation).toContain('ε = ∞: no privacy')
    expect(simulation).not.toMatch(/NaN|Infinity/)
    expect(page).not.toContain('class="banner"')
    elements(simulation)
  })

  it('holds with nothing in it', () => {
    const report = exampleReport()
    const empty = renderReport({
      ...report,
      rounds: [],
      final: { consentedToPopulation: null, consentedToCorpus: null },
      corpus: { ...report.corpus, texts: 0, lengths: [], labels: {}, rejected: {}, samples: [] },
      warnings: [],
      priorKnowledge: [],
    })
    elements(empty)
    expect(empty).toContain('Not measured: the config names no consented texts')
    expect(empty).not.toMatch(/NaN|undefined/)
  })

  it('folds the middle of many rounds away', () => {
    const report = exampleReport()
    const [round] = report.rounds
    if (round === undefined) throw new Error('the example has rounds')
    const many = renderReport({
      ...report,
      rounds: Array.from({ length: 20 }, (_, i) => ({ ...round, round: i + 1 })),
    })
    elements(many)
    expect(many).toContain('<summary>Rounds 7 to 14</summary>')
  })
})

describe('hostile text', () => {
  it.each(HOSTILE)('stays text wherever the report shows one: %j', (text) => {
    const calm = elements(renderReport(poisoned(exampleReport(), 'calm')))
    expect(elements(renderReport(poisoned(exampleReport(), text)))).toEqual(calm)
  })

  it('cannot leave element content or an attribute, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const safe = escapeHtml(text)
        expect(safe).not.toMatch(/[<>"']|&(?!(amp|lt|gt|quot|#39);)/)
      }),
    )
  })

  it('an object that looks like markup is not taken for it', () => {
    const fake = JSON.parse('{"markup":"<b>","content":"<b>"}') as Markup
    expect(markupText(html`<p>${fake}</p>`)).toBe('<p></p>')
    expect(markupText(html`<p>${['<b>'] as unknown as Markup[]}</p>`)).toBe('<p>&lt;b&gt;</p>')
  })
})
