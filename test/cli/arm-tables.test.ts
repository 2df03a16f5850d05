// The figures and tables of one arm, as `pretext baseline` shows them.
import { expect, it } from 'vitest'
import { armTables } from '../../src/cli/output/arm-tables.ts'
import type { ComparisonReport, ComparisonRow } from '../../src/report/comparison-data.ts'

const row = (measures: Record<string, unknown>, asked: ComparisonRow['asked'] = { epsilon: 2 }) =>
  ({ arm: 'some', asked, measures }) as unknown as ComparisonRow

const shown = (...rows: ComparisonRow[]) => armTables({ rows } as unknown as ComparisonReport)

it('shows figures in a line and every table under its name', () => {
  const lines = shown(
    row({
      loss: 2.61809,
      rule: 'keep',
      none: null,
      gaps: [
        { bits: 2, gap: 0.000123456 },
        { bits: 16, error: 1 },
      ],
      empty: [],
    }),
  )
  expect(lines.slice(0, 4)).toEqual(['', 'some at epsilon 2: loss 2.618, rule keep, none ', '', 'gaps:'])
  const [head, ...rest] = (lines[4] as string).split('\n').map((line) => line.trim().split(/\s{2,}/))
  expect(head).toEqual(['bits', 'gap', 'error'])
  expect(rest.at(-2)).toEqual(['2', '0.0001235'])
  expect(rest.at(-1)).toEqual(['16', '1'])
  expect(lines).toHaveLength(5)
})

it('says no epsilon where none was asked for, and nothing where there is nothing', () => {
  expect(shown(row({ a: 1 }, null))).toEqual(['', 'some: a 1'])
  expect(shown(row({}))).toEqual([])
})
