// Where a command prints: results on stdout, everything else on stderr. --json gives one object on stdout, --quiet
// leaves stderr empty but for errors.
import { isAbsolute, relative } from 'node:path'
import { styleText } from 'node:util'
import type { PretextError } from '../../errors.ts'
import { ignoreEvents, type OnEvent } from '../../events.ts'
import { infinityAsText } from '../../report/json.ts'
import { plainProgress, terminalProgress } from './progress.ts'

export interface OutputOptions {
  readonly json: boolean
  readonly quiet: boolean
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number }
}

export interface Output {
  readonly json: boolean
  readonly onEvent: OnEvent
  /** A line for people, on stderr. */
  info(line: string): void
  /** The command's result: text for people, or the object with --json. */
  result(text: string, object: Record<string, unknown>): void
  /** Ends a live progress line. */
  close(): void
}

export function createOutput(options: OutputOptions): Output {
  const { json, quiet, stdout, stderr } = options
  const progress = quiet
    ? { onEvent: ignoreEvents, close: () => {} }
    : stderr.isTTY === true && process.env.CI === undefined
      ? terminalProgress(stderr)
      : plainProgress(stderr)
  return {
    json,
    onEvent: progress.onEvent,
    info(line) {
      if (!quiet) stderr.write(`${line}\n`)
    },
    result(text, object) {
      progress.close()
      if (json) stdout.write(`${JSON.stringify({ ok: true, ...object }, infinityAsText)}\n`)
      else stdout.write(`${text}\n`)
    },
    close: progress.close,
  }
}

/** The error as the user sees it: what, then what to do. */
export function renderError(error: PretextError, json: boolean): string {
  if (json) {
    const { code, message, hint } = error
    return JSON.stringify(
      {
        ok: false,
        code,
        exitCode: error.exitCode,
        message,
        ...(hint === undefined ? {} : { hint }),
        ...error.details,
      },
      infinityAsText,
    )
  }
  const lines = [`${bold('error', 'red')} ${error.message}`]
  if (error.hint !== undefined) lines.push(`${bold('what to do', 'yellow')} ${error.hint}`)
  return lines.join('\n')
}

export function bold(text: string, colour?: 'red' | 'yellow' | 'green'): string {
  // One style a call: with a list, Node 20 does not look at the stream and NO_COLOR.
  const strong = styleText('bold', text, { stream: process.stderr })
  return colour === undefined ? strong : styleText(colour, strong, { stream: process.stderr })
}

/** A path as the user would type it. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short === '' ? '.' : short.startsWith('..') || isAbsolute(short) ? path : short
}

export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = count
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`
}

/** Columns padded to their widest cell; numbers (cells that start with a digit) to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((r) => (r[c] ?? '').length)))
  const right = (rows[0] ?? []).map((_, c) => rows.slice(1).every((r) => /^[\d.,~$<]|^$/.test(r[c] ?? '')))
  return rows
    .map((r) =>
      r
        .map((cell, c) => (right[c] ? cell.padStart(widths[c] as number) : cell.padEnd(widths[c] as number)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
