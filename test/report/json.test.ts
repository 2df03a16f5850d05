// Promises of report.json: it comes back as it was, infinity included, and a file that is something else is named.
import { describe, expect, it } from 'vitest'
import { PretextError } from '../../src/errors.ts'
import { readReport, reportJson } from '../../src/report/json.ts'
import { exampleReport, simulationReport } from './example.ts'

function failure(text: string): PretextError {
  try {
    readReport(text, 'runs/a/report.json')
  } catch (error) {
    if (error instanceof PretextError) return error
    throw error
  }
  throw new Error('expected an error')
}

describe('report.json', () => {
  it('comes back as it was', () => {
    expect(readReport(reportJson(exampleReport()), 'report.json')).toEqual(exampleReport())
    expect(readReport(reportJson(simulationReport()), 'report.json')).toEqual(simulationReport())
  })

  it('writes infinity as "inf", and a text that says inf stays a text', () => {
    const report = simulationReport()
    const said = { ...report, corpus: { ...report.corpus, samples: [{ text: 'inf' }] } }
    expect(JSON.parse(reportJson(said)).privacy.epsilon).toBe('inf')
    expect(readReport(reportJson(said), 'report.json')).toEqual(said)
  })

  it('refuses NaN by name', () => {
    const report = exampleReport()
    expect(() => reportJson({ ...report, privacy: { ...report.privacy, l2Bound: Number.NaN } })).toThrow(
      'expected a number in the report at "l2Bound", got NaN',
    )
  })

  it('names the file that is not a report, without its content', () => {
    const wrong = failure('my secret diary')
    expect(wrong.message).toBe('expected a report at runs/a/report.json, got text that is not JSON')
    expect(wrong.code).toBe('data')
    expect(failure('null').message).toBe(
      'expected "format": "pretext-report" in runs/a/report.json, got nothing',
    )
    expect(failure('{"format":"other"}').message).toBe(
      'expected "format": "pretext-report" in runs/a/report.json, got "other"',
    )
    expect(failure('{"format":"pretext-report","version":2}').message).toBe(
      'expected report version 1 in runs/a/report.json, got 2',
    )
  })
})
