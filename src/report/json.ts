// report.json: the same report for programs. JSON has no infinity, so an endless epsilon is the string "inf".
import { PretextError } from '../errors.ts'
import type { RunReport } from './data.ts'

/** For JSON.stringify: infinity, which JSON does not have, as the string "inf". */
export function infinityAsText(_key: string, value: unknown): unknown {
  return value === Infinity ? 'inf' : value
}

/** For JSON.parse. Only an epsilon can be endless: a synthetic text that says "inf" stays a text. */
export function textAsInfinity(key: string, value: unknown): unknown {
  return key === 'epsilon' && value === 'inf' ? Infinity : value
}

/** The JSON twin of the HTML report, with a newline at the end. Infinity is written as "inf"; NaN is refused. */
export function reportJson(report: RunReport): string {
  const text = JSON.stringify(
    report,
    (key, value: unknown) => {
      if (value === -Infinity) return '-inf'
      if (typeof value === 'number' && Number.isNaN(value)) {
        throw new PretextError(`expected a number in the report at "${key}", got NaN`, { code: 'unexpected' })
      }
      return infinityAsText(key, value)
    },
    2,
  )
  return `${text}\n`
}

/** The report in the text of a report.json. `path` is named in errors. */
export function readReport(text: string, path: string): RunReport {
  let parsed: unknown
  try {
    parsed = JSON.parse(text, textAsInfinity)
  } catch {
    throw new PretextError(`expected a report at ${path}, got text that is not JSON`, {
      code: 'data',
      hint: 'Give the report.json that pretext wrote into the run folder.',
    })
  }
  const { format, version } = (parsed ?? {}) as { format?: unknown; version?: unknown }
  if (format !== 'pretext-report') {
    throw new PretextError(
      `expected "format": "pretext-report" in ${path}, got ${JSON.stringify(format) ?? 'nothing'}`,
      {
        code: 'data',
        hint: 'Give the report.json that pretext wrote into the run folder.',
      },
    )
  }
  if (version !== 1) {
    throw new PretextError(
      `expected report version 1 in ${path}, got ${JSON.stringify(version) ?? 'nothing'}`,
      {
        code: 'data',
        hint: 'Use the version of pretext that wrote this report, or a newer one.',
      },
    )
  }
  return parsed as RunReport
}
