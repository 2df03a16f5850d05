// Promises of the dataset card: front matter that YAML reads back, the same privacy statement as the report, and
// nothing in a text that could act on the page.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { fenced, inline, renderCard, sizeCategory } from '../../src/report/card.ts'
import { exampleReport, simulationReport } from './example.ts'

function split(card: string): { matter: Record<string, unknown>; body: string } {
  const parts = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(card)
  if (parts === null) throw new Error('expected front matter')
  return { matter: parse(parts[1] ?? ''), body: parts[2] ?? '' }
}

describe('the dataset card', () => {
  it('has the front matter that the Hub reads', () => {
    expect(split(renderCard(exampleReport(), { language: 'en', license: 'cc-by-4.0' })).matter).toEqual({
      language: ['en'],
      license: 'cc-by-4.0',
      pretty_name: 'debian bug reports',
      size_categories: ['1K<n<10K'],
      task_categories: ['text-generation'],
      tags: ['synthetic', 'differential-privacy', 'pretext'],
      annotations_creators: ['machine-generated'],
      language_creators: ['machine-generated'],
      source_datasets: ['original'],
      configs: [{ config_name: 'default', data_files: [{ split: 'train', path: 'data/train.parquet' }] }],
    })
  })

  it('guesses neither licence nor language', () => {
    const { matter } = split(renderCard(exampleReport()))
    expect(matter.license).toBe('other')
    expect(matter).not.toHaveProperty('language')
  })

  it('survives names that YAML would read as something else', () => {
    for (const name of ['no', '1e3', 'a: b # c', '- x', '"', "'", '---', 'a\n---\nlicense: mit', '🙂']) {
      const report = exampleReport()
      const { matter } = split(renderCard({ ...report, run: { ...report.run, name } }))
      expect(matter.pretty_name).toBe(name)
      expect(matter.license).toBe('other')
    }
  })

  it('says epsilon, delta, unit, adjacency, noise, rounds and what is not covered', () => {
    const { body } = split(renderCard(exampleReport()))
    for (const words of [
      '**ε = 1.64 at δ = 1e-5**',
      'one client, with all of its texts together',
      'add-remove: adding or removing all the texts of one client',
      '5.243',
      '5 rounds of private evolution',
      '### What this does not cover\n\n- the language model and the embedder',
      'all-MiniLM-L6-v2',
      'SmolLM2-135M-Instruct Q4\\_1',
      '0.432 (0.421 to 0.444)',
      '| normal | 1,173 |',
    ]) {
      expect(body).toContain(words)
    }
  })

  it('carries the simulation banner, in the title and the tags too', () => {
    const { matter, body } = split(renderCard(simulationReport()))
    expect(matter.pretty_name).toBe('SIMULATION: debian bug reports')
    expect(matter.tags).toContain('simulation')
    expect(body).toContain('> **Simulation.** The texts behind this run were declared free for experiments')
    expect(body).toContain('ε = ∞: no privacy')
    expect(renderCard(exampleReport()).toLowerCase()).not.toContain('simulation')
  })

  it('classes sizes as the Hub does', () => {
    expect([0, 999, 1000, 9999, 10_000, 2_000_000, 5e9].map(sizeCategory)).toEqual([
      'n<1K',
      'n<1K',
      '1K<n<10K',
      '1K<n<10K',
      '10K<n<100K',
      '1M<n<10M',
      'n>1B',
    ])
  })
})

describe('text of others', () => {
  it('cannot close its fence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('`', '``', '```', '````', '\n', '\r', 'a', '<script>')),
        (parts) => {
          const block = fenced(parts.join(''))
          const fence = /^(`{3,})text\n/.exec(block)?.[1] ?? ''
          const inside = block.slice(fence.length + 5, -(fence.length + 1))
          expect(fence.length).toBeGreaterThanOrEqual(3)
          expect(inside).not.toContain(fence)
          expect(block.endsWith(`\n${fence}`)).toBe(true)
        },
      ),
    )
  })

  it('stays on one line, without tags, links, table cells or addresses', () => {
    expect(inline('a\n# b | c <img onerror=x> [l](u) https://e.org www.e.org @me `c`')).toBe(
      'a \\# b \\| c &lt;img onerror=x&gt; \\[l\\](u) https:/\\/e.org www\\.e.org \\@me \\`c\\`',
    )
  })
})
