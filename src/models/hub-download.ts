// Downloads one file from the Hub: into `<file>.part`, taken up again by Range after a break or a crash, and renamed only
// after its sha256 was verified. The caller holds the folder's lock.
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { OnEvent } from '../events.ts'
import { hashFile } from './checksums.ts'
import { cacheError, megabytes } from './failures.ts'
import { askHub, fileUrl, type Hub, networkReason, probe } from './hub.ts'
import type { HubSource, SourceOutcome } from './model.ts'

const MAX_BREAKS = 5

export interface Download {
  readonly hub: Hub
  readonly source: HubSource
  readonly destination: string
  readonly bytes: number
  /** Absent where nothing vouches for the file yet (a small file of a user's model, on first use). */
  readonly sha256?: string
  readonly label: string
  readonly onEvent: OnEvent
  readonly signal?: AbortSignal | undefined
}

export async function downloadFromHub(download: Download): Promise<SourceOutcome> {
  const { hub, source, destination, sha256, onEvent, label } = download
  const said = await probe(hub, source, download.signal)
  if (!said.ok) return said
  const wrong = mismatch(download, said)
  if (wrong !== undefined) return { ok: false, reason: wrong }

  const part = `${destination}.part`
  onEvent({ type: 'stage', stage: 'download', label, total: download.bytes, unit: 'bytes' })
  try {
    await mkdir(dirname(destination), { recursive: true })
    // A part that another version of the file left behind shows in the sum: then once more from the start.
    for (let resumed = (await sizeOf(part)) > 0; ; resumed = false) {
      const outcome = await fill(part, download)
      if (!outcome.ok) return outcome
      const found = sha256 === undefined ? undefined : await hashFile(part)
      if (found === sha256) break
      await rm(part, { force: true })
      if (!resumed) return { ok: false, reason: `gave other content (sha256 ${found})` }
    }
    download.signal?.throwIfAborted()
    const handle = await open(part, 'r+')
    await handle.sync().finally(() => handle.close())
    await rename(part, destination)
  } catch (error) {
    throw cacheError(error, part)
  } finally {
    onEvent({ type: 'stage-end', stage: 'download', label })
  }
  return { ok: true }
}

function mismatch(
  download: Download,
  said: { readonly sha256: string | undefined; readonly bytes: number | undefined },
): string | undefined {
  if (said.sha256 !== undefined && download.sha256 !== undefined && said.sha256 !== download.sha256) {
    return `holds other content (sha256 ${said.sha256})`
  }
  if (said.bytes !== undefined && said.bytes !== download.bytes) {
    return `holds other content (${said.bytes} bytes instead of ${download.bytes})`
  }
  return undefined
}

/** Brings the part to its full length, over as many connections as it takes. */
async function fill(part: string, download: Download): Promise<SourceOutcome> {
  let best = await sizeOf(part)
  for (let breaks = 0; ; ) {
    const have = await sizeOf(part)
    if (have === download.bytes) return { ok: true }
    if (have > download.bytes) await rm(part)
    const outcome = await stream(part, have > download.bytes ? 0 : have, download)
    if (outcome === 'whole') continue
    if (outcome.final) return { ok: false, reason: outcome.reason }
    // Progress resets the patience: a large file over a bad line arrives in the end.
    const now = await sizeOf(part)
    if (now > best) {
      best = now
      breaks = 0
    } else {
      breaks++
    }
    if (breaks >= MAX_BREAKS) {
      const got = `${megabytes(now)} of ${megabytes(download.bytes)} are kept`
      return { ok: false, reason: `${outcome.reason}, ${MAX_BREAKS} times at the same place; ${got}` }
    }
    await download.hub.sleep(500 * 2 ** breaks)
    download.signal?.throwIfAborted()
  }
}

type Break = { readonly reason: string; readonly final: boolean }

/** One connection: appends to the part until the body ends, breaks or stands still. */
async function stream(part: string, from: number, download: Download): Promise<'whole' | Break> {
  const { hub, signal } = download
  const stalled = new AbortController()
  const answer = await askHub(hub, fileUrl(hub, download.source), {
    method: 'GET',
    redirect: 'follow',
    timeoutMs: hub.answerMs,
    headers: from > 0 ? { range: `bytes=${from}-` } : {},
    signal: signal ? AbortSignal.any([signal, stalled.signal]) : stalled.signal,
  })
  if (!answer.ok) {
    // 416: what is there is not a beginning of what the Hub has.
    if (answer.reason.startsWith('answered 416')) await rm(part, { force: true })
    return { reason: answer.reason, final: !/^(could not connect|answered 416)/.test(answer.reason) }
  }
  const { response } = answer
  // A server that ignores Range answers 200 with the whole file.
  const start = response.status === 206 ? rangeStart(response) : 0
  if (start !== 0 && start !== from) {
    await response.body?.cancel()
    return { reason: `answered another range (from ${start}, not ${from})`, final: true }
  }

  const handle = await open(part, start === 0 ? 'w' : 'a')
  let done = start
  let shown = start
  const step = Math.max(1 << 18, download.bytes / 100)
  const show = () => {
    shown = done
    download.onEvent({ type: 'progress', stage: 'download', done, total: download.bytes })
  }
  show()
  let timer = setTimeout(() => stalled.abort(), hub.stallMs)
  try {
    const body = (response.body ?? []) as AsyncIterable<Uint8Array>
    for await (const chunk of readable(body)) {
      if (chunk instanceof Error) {
        signal?.throwIfAborted()
        const why = stalled.signal.aborted ? `nothing came for ${hub.stallMs / 1000} s` : networkReason(chunk)
        return { reason: `the connection broke (${why})`, final: false }
      }
      clearTimeout(timer)
      timer = setTimeout(() => stalled.abort(), hub.stallMs)
      if (done + chunk.length > download.bytes) {
        stalled.abort()
        await handle.truncate(0)
        return { reason: `sent more than the ${download.bytes} bytes expected`, final: true }
      }
      await handle.appendFile(chunk)
      done += chunk.length
      if (done - shown >= step || done === download.bytes) show()
    }
  } finally {
    clearTimeout(timer)
    await handle.close()
  }
  return done === download.bytes ? 'whole' : { reason: `ended after ${done} bytes`, final: false }
}

/** The chunks, and then the error that ended them, if one did: tells a broken connection from a full disk. */
async function* readable(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array | Error> {
  try {
    yield* body
  } catch (error) {
    yield error as Error
  }
}

function rangeStart(response: Response): number {
  return Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1] ?? Number.NaN)
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => undefined))?.size ?? 0
}
