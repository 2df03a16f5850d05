// The table at the end of a batch: what every job gave, by whichever machine it was done, and what each data set has spent
// over all of them. Epsilons of runs over one data set add up; no row of the table says that by itself.
import { join } from 'node:path'
import { writeDurable } from '../durable.ts'
import { readLedger, spentEpsilon } from '../privacy/ledger.ts'
import { infinityAsText } from '../report/json.ts'
import { readRunReport } from '../run/read-run.ts'
import type { BatchConfig } from './config.ts'
import type { Job } from './jobs.ts'
import { jobFolder, readJobState } from './state.ts'

export interface JobRow {
  readonly id: string
  readonly values: Readonly<Record<string, string>>
  readonly status: 'done' | 'failed' | 'open'
  /** The step that failed, and its message. */
  readonly failed: { readonly step: string; readonly message: string } | null
  readonly epsilon: number | null
  readonly delta: number | null
  readonly texts: number | null
  readonly seconds: number
  /** Figures of the corpus by `pretext evaluate`. */
  readonly metrics: Readonly<Record<string, number>>
  readonly folder: string
}

export interface DatasetSpend {
  readonly dataset: string
  readonly ledger: string
  readonly simulation: boolean
  readonly delta: number
  /** What the data set has spent by its ledger, over all runs of this batch and before it. */
  readonly epsilon: number
  /** Runs of this batch that were charged to it. */
  readonly runs: number
  readonly largest: number
}

export interface BatchSummary {
  readonly format: 'pretext-batch'
  readonly version: 1
  readonly name: string
  readonly jobs: readonly JobRow[]
  readonly datasets: readonly DatasetSpend[]
  /** Of the share that this process did. */
  readonly own: { readonly jobs: number; readonly failed: number; readonly open: number }
}

export async function summarise(
  batch: BatchConfig,
  jobs: readonly Job[],
  own: readonly Job[],
): Promise<BatchSummary> {
  const spends = new Map<string, DatasetSpend>()
  const rows: JobRow[] = []
  for (const job of jobs) rows.push(await rowOf(batch, job, spends))
  const mine = new Set(own.map((job) => job.id))
  const ownRows = rows.filter((row) => mine.has(row.id))
  return {
    format: 'pretext-batch',
    version: 1,
    name: batch.name,
    jobs: rows,
    datasets: [...spends.values()],
    own: {
      jobs: ownRows.length,
      failed: ownRows.filter((row) => row.status === 'failed').length,
      open: ownRows.filter((row) => row.status === 'open').length,
    },
  }
}

async function rowOf(batch: BatchConfig, job: Job, spends: Map<string, DatasetSpend>): Promise<JobRow> {
  const { steps } = await readJobState(batch.folder, job)
  const failed = batch.steps.find((step) => steps[step]?.status === 'failed')
  const folder = jobFolder(batch.folder, job.id)
  const made =
    steps.generate?.status === 'done' ? await generated(folder, steps.generate.result, spends) : null
  const message = failed === undefined ? undefined : steps[failed]?.result.message
  return {
    id: job.id,
    values: job.values,
    status:
      failed !== undefined
        ? 'failed'
        : batch.steps.every((step) => steps[step]?.status === 'done')
          ? 'done'
          : 'open',
    failed:
      failed === undefined
        ? null
        : {
            step: failed,
            message: typeof message === 'string' ? message : `exit code ${steps[failed]?.result.exitCode}`,
          },
    epsilon: made?.epsilon ?? null,
    delta: made?.delta ?? null,
    texts: made?.texts ?? null,
    seconds: Object.values(steps).reduce((sum, step) => sum + step.seconds, 0),
    metrics: numbersIn(steps.evaluate?.result.metrics),
    folder,
  }
}

async function generated(folder: string, result: Record<string, unknown>, spends: Map<string, DatasetSpend>) {
  const report = await readRunReport(join(folder, 'run'))
  const { privacy, corpus, run, simulation } = report
  const { ledger } = result
  if (typeof ledger === 'string') {
    const key = `${ledger} ${privacy.delta}`
    const before = spends.get(key)
    spends.set(key, {
      dataset: run.dataset,
      ledger,
      simulation,
      delta: privacy.delta,
      epsilon: before?.epsilon ?? spentEpsilon(await readLedger(ledger), privacy.delta),
      runs: (before?.runs ?? 0) + 1,
      largest: Math.max(before?.largest ?? 0, privacy.epsilon),
    })
  }
  return { epsilon: privacy.epsilon, delta: privacy.delta, texts: corpus.texts }
}

function numbersIn(value: unknown): Record<string, number> {
  return Object.fromEntries(
    Object.entries((value ?? {}) as Record<string, unknown>).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    ),
  )
}

export async function writeSummary(batch: BatchConfig, summary: BatchSummary): Promise<void> {
  await writeDurable(join(batch.folder, 'summary.json'), `${JSON.stringify(summary, infinityAsText, 2)}\n`)
  const { head, rows } = summaryTable(summary)
  const csv = [head, ...rows].map((row) => row.map(csvCell).join(',')).join('\r\n')
  await writeDurable(join(batch.folder, 'summary.csv'), `${csv}\r\n`)
}

/** One row for each job; columns for what varies, then for what came out. */
export function summaryTable({ jobs }: BatchSummary): { head: string[]; rows: string[][] } {
  const varied = [...new Set(jobs.flatMap((job) => Object.keys(job.values)))]
  const metrics = [...new Set(jobs.flatMap((job) => Object.keys(job.metrics)))]
  // A key that varies is not shown a second time as a result.
  const epsilon = varied.includes('epsilon') ? 'epsilon spent' : 'epsilon'
  return {
    head: ['job', ...varied, 'status', epsilon, 'texts', 'seconds', ...metrics],
    rows: jobs.map((job) => [
      job.id,
      ...varied.map((name) => job.values[name] ?? ''),
      job.failed === null ? job.status : `failed: ${job.failed.step}`,
      job.epsilon === null ? '' : job.epsilon === Number.POSITIVE_INFINITY ? 'inf' : job.epsilon.toFixed(4),
      job.texts === null ? '' : String(job.texts),
      job.seconds.toFixed(0),
      ...metrics.map((name) =>
        job.metrics[name] === undefined ? '' : (job.metrics[name] as number).toFixed(4),
      ),
    ]),
  }
}

/** What the spending of a data set means, in words. */
export function spendText({ dataset, epsilon, delta, runs, largest, simulation }: DatasetSpend): string {
  const spent = epsilon === Number.POSITIVE_INFINITY ? 'infinite' : epsilon.toFixed(4)
  const one = largest === Number.POSITIVE_INFINITY ? 'infinite' : largest.toFixed(4)
  const kind = simulation ? ' (simulation)' : ''
  return runs === 1
    ? `data set ${dataset}${kind}: epsilon ${spent} at delta ${delta} by its ledger, over all its runs`
    : `data set ${dataset}${kind}: the epsilons add up. ${runs} runs of this batch used it; whoever sees them all gets epsilon ${spent} at delta ${delta} by its ledger (all runs ever), not the ${one} of one row`
}

function csvCell(text: string): string {
  // Quoted where CSV needs it, and never a formula of a spreadsheet.
  const safe = /^[=+\-@\t\r]/.test(text) && !/^-?[\d.]+$/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
