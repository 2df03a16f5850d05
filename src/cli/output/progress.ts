// Renders events: one live line on a terminal, plain lines elsewhere (a log file, CI).
import { styleText } from 'node:util'
import type { OnEvent, PretextEvent } from '../../events.ts'
import { exactDuration } from '../../report/figures.ts'
import { bytes } from './output.ts'

interface Renderer {
  readonly onEvent: OnEvent
  close(): void
}

interface Stage {
  readonly label: string
  readonly unit: string
  readonly total: number | undefined
  readonly startedAt: number
  /** Where this process began to count: work found in a cache goes by in no time. */
  done: number
  detail: string | undefined
  printedAt: number
}

const LIVE_MS = 100
const PLAIN_MS = 15_000

export function terminalProgress(stream: NodeJS.WritableStream & { readonly columns?: number }): Renderer {
  return renderer(stream, LIVE_MS, (line) => `\r\u001b[2K${line.slice(0, (stream.columns || 100) - 1)}`)
}

export function plainProgress(stream: NodeJS.WritableStream): Renderer {
  return renderer(stream, PLAIN_MS, undefined)
}

function renderer(
  stream: NodeJS.WritableStream,
  everyMs: number,
  live: ((line: string) => string) | undefined,
): Renderer {
  let stage: Stage | undefined
  let lineOpen = false
  const close = () => {
    if (lineOpen) stream.write('\r\u001b[2K')
    lineOpen = false
  }
  const line = (text: string) => {
    close()
    stream.write(`${text}\n`)
  }
  const show = (now: number) => {
    if (stage === undefined) return
    stage.printedAt = now
    if (live === undefined) stream.write(`${progressLine(stage, now)}\n`)
    else {
      stream.write(live(progressLine(stage, now)))
      lineOpen = true
    }
  }
  const onEvent = (event: PretextEvent): void => {
    const now = performance.now()
    switch (event.type) {
      case 'stage': {
        const { label, total, unit = '' } = event
        stage = { label, unit, total, startedAt: now, done: 0, detail: undefined, printedAt: now }
        // In a log, a download is announced with its size before the wait.
        if (live !== undefined || event.stage === 'download') show(now)
        return
      }
      case 'progress':
        if (stage === undefined) return
        stage.done = event.done
        stage.detail = event.detail
        if (now - stage.printedAt >= everyMs) show(now)
        return
      case 'stage-end':
        if (stage !== undefined) line(finishedLine(stage, now))
        stage = undefined
        return
      case 'round':
        line(
          styleText(
            'bold',
            `round ${event.round}/${event.rounds} released: epsilon so far ${number(event.epsilon)}, ${event.survivors} survivors`,
            { stream: process.stderr },
          ),
        )
        return
      case 'warning':
        line(`${styleText('yellow', 'warning', { stream: process.stderr })} ${event.message}`)
        return
      case 'note':
        line(event.message)
        return
      case 'artefact':
        return
    }
  }
  return { onEvent, close }
}

export function number(value: number): string {
  return value === Number.POSITIVE_INFINITY ? 'infinite' : value.toFixed(4)
}

function amount(value: number, unit: string): string {
  if (unit === 'bytes') return bytes(value)
  return unit === '%' ? `${value}%` : `${value.toLocaleString('en-US')}`
}

function progressLine(stage: Stage, now: number): string {
  const seconds = (now - stage.startedAt) / 1000
  const { done, total, unit, label } = stage
  if (total === undefined) return done === 0 ? `${label} ...` : `${label}: ${amount(done, unit)}`
  const counts =
    unit === '%'
      ? `${done}%`
      : `${amount(done, unit)}/${amount(total, unit)}${unit === 'bytes' ? '' : ` ${unit}`}`
  if (stage.detail !== undefined) return `${label}: ${counts}, ${stage.detail}`
  if (done === 0 || seconds < 1) return `${label}: ${counts}`
  const left = exactDuration(((total - done) * seconds) / done)
  const rate =
    unit === '%'
      ? ''
      : unit === 'bytes'
        ? `, ${bytes(done / seconds)}/s`
        : `, ${(done / seconds).toFixed(1)}/s`
  return `${label}: ${counts}${rate}, ${left} left`
}

function finishedLine(stage: Stage, now: number): string {
  const seconds = (now - stage.startedAt) / 1000
  const counts =
    stage.total === undefined || stage.unit === '%'
      ? ''
      : ` (${amount(stage.done, stage.unit)} ${stage.unit === 'bytes' ? '' : stage.unit}`.trimEnd()
  return `${stage.label}: done${counts === '' ? ' (' : `${counts}, `}${exactDuration(seconds)})`
}
