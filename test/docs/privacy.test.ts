// docs/privacy.md: each line of the threat table names a test that is there and runs by its name.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const page = readFileSync(join(ROOT, 'docs/privacy.md'), 'utf8')

/** Titles of the tests and groups of a file, as they are written. */
function titlesOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023, true)
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /^(it|test|describe)\b/.test(node.expression.getText())) {
      const [title] = node.arguments
      if (title !== undefined && ts.isStringLiteralLike(title)) titles.push(title.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return titles
}

const section = page.slice(page.indexOf('## Who sees what'), page.indexOf('## What each vote mode costs'))
const rows = section
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )

describe('the threat table', () => {
  it('has a line for each of the threats', () => {
    expect(rows.length).toBeGreaterThanOrEqual(20)
    expect(new Set(rows.map((row) => row.slice(0, 2).join())).size).toBe(rows.length)
    for (const row of rows) {
      expect(row).toHaveLength(5)
      expect(row[2]).toMatch(/^(held|bounded: .+|not held)/)
    }
  })

  it.each(rows.map((row) => [`${row[0]}: ${row[1]}`, row[4] as string]))('%s', (_, cell) => {
    const match = /^`([^`]+)` in `([^`]+)`$/.exec(cell)
    expect(match, cell).not.toBeNull()
    const [, name = '', path = ''] = match as RegExpExecArray
    // vitest -t takes a pattern: a name of plain characters matches itself.
    expect(name).toMatch(/^[\w ,:-]+$/)
    const titles = titlesOf(join(ROOT, path))
    expect(titles.filter((title) => title.includes(name))).not.toEqual([])
  })
})

describe('figures of the page', () => {
  it('are those of the accountant', async () => {
    const { epsilonOf } = await import('../../src/privacy/accountant.ts')
    const { calibrateNoise } = await import('../../src/privacy/calibration.ts')
    const epsilon = (noiseMultiplier: number) =>
      epsilonOf([{ type: 'repeated', count: 11, event: { type: 'gaussian', noiseMultiplier } }], 3e-6)
    for (const [noise, exact, substitution, upstream] of [
      [11.3, '1.188956', '1.737271', '0.5113'],
      [2.31, '7.080123', '10.728922', '2.8993'],
    ] as const) {
      expect(epsilon(noise).toFixed(6)).toBe(exact)
      expect(epsilon(noise / Math.SQRT2).toFixed(6)).toBe(substitution)
      expect(epsilon(noise * 1.541 * Math.SQRT2).toFixed(4)).toBe(upstream)
      for (const figure of [exact, substitution, upstream]) expect(page).toContain(figure)
    }
    expect(calibrateNoise(1.29, 3e-6, 11).toFixed(4)).toBe('10.4857')
    expect(calibrateNoise(7.58, 3e-6, 11).toFixed(4)).toBe('2.1805')
  })
})
