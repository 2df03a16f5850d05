// A batch over a private data set with the scripted model: shares, failures that stop nothing else, one ledger and its
// budget, resuming, and that no private text gets into what it writes.
import { readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadBatch } from '../../src/batch/config.ts'
import { startItself } from '../../src/batch/process.ts'
import { type BatchOptions, runBatch } from '../../src/batch/run.ts'
import { shareOf } from '../../src/batch/share.ts'
import { spendText } from '../../src/batch/summary.ts'
import type { PretextEvent } from '../../src/events.ts'
import { leaks, type Workspace, workspace } from '../run/workspace.ts'

const start = startItself(resolve(import.meta.dirname, 'cli-child.ts'), ['--import', 'tsx'])

async function batchIn({ folder }: Workspace, more: Record<string, unknown>) {
  const file = join(folder, 'batch.yaml')
  await writeFile(
    file,
    stringify({
      name: 'b',
      base: 'config.yaml',
      set: { 'evolution.rounds': 1, 'generate.texts': 10 },
      output: { folder: 'batch' },
      ...more,
    }),
  )
  return loadBatch(file)
}

const everything: Pick<BatchOptions, 'share' | 'parallel' | 'start'> = {
  share: shareOf({ env: {} }),
  parallel: 2,
  start,
}

describe('a batch', () => {
  it('goes on past a job that fails; the budget holds over all of them; the epsilons add up', async () => {
    const space = await workspace((config) => {
      config.privacy.budget = { epsilon: 6, delta: 1e-5 }
    })
    const batch = await batchIn(space, { matrix: { 'privacy.epsilon': [3, 50, 4] } })
    const events: PretextEvent[] = []
    const summary = await runBatch(batch, { ...everything, parallel: 1, onEvent: (e) => events.push(e) })
    expect(
      summary.jobs.map(({ status, epsilon, texts }) => [status, epsilon && Math.round(epsilon), texts]),
    ).toEqual([
      ['done', 3, 10],
      ['failed', null, null],
      ['done', 4, 10],
    ])
    expect(summary.own).toEqual({ jobs: 3, failed: 1, open: 0 })
    expect(summary.jobs[1]?.failed).toEqual({
      step: 'generate',
      message: expect.stringMatching(
        /^the release would bring data set "canaries" to epsilon 50\.\d+, over its budget of 6 at delta 0\.00001/,
      ),
    })
    expect(events.filter((event) => event.type === 'warning')).toHaveLength(1)
    const [spend] = summary.datasets
    expect(summary.datasets).toHaveLength(1)
    // Two Gaussians of epsilon 3 and 4 compose to between the larger and the sum.
    expect(spend?.epsilon).toBeGreaterThan(4.5)
    expect(spend?.epsilon).toBeLessThan(6)
    expect(spendText(spend as NonNullable<typeof spend>)).toMatch(
      /^data set canaries: the epsilons add up\. 2 runs of this batch used it; whoever sees them all gets epsilon 5\.\d+ at delta 0\.00001 by its ledger \(all runs ever\), not the 4\.0000 of one row$/,
    )
    const csv = (await readFile(join(batch.folder, 'summary.csv'), 'utf8')).split('\r\n')
    expect(csv[0]).toBe('job,epsilon,status,epsilon spent,texts,seconds')
    expect(csv[2]).toMatch(/^epsilon-50,50,failed: generate,,,\d+$/)
    expect(leaks([JSON.stringify(summary), JSON.stringify(events)], [batch.folder])).toEqual([])

    // Again: what is done stays done, and the failed job is tried again.
    const started: string[] = []
    const again = await runBatch(batch, {
      ...everything,
      start: async (args, options) => {
        started.push(args.at(-2) as string)
        return start(args, options)
      },
    })
    expect(started).toHaveLength(1)
    expect(again.own.failed).toBe(1)
  })

  it('in shares of an array gives the whole, each job once', async () => {
    const space = await workspace()
    const batch = await batchIn(space, { matrix: { seed: [1, 2, 3] } })
    for (const id of [11, 12]) {
      const share = shareOf({
        env: {
          SLURM_ARRAY_TASK_ID: String(id),
          SLURM_ARRAY_TASK_COUNT: '2',
          SLURM_ARRAY_TASK_MIN: '11',
        },
      })
      const summary = await runBatch(batch, { ...everything, share })
      expect(summary.jobs.map((job) => job.status)).toEqual(
        id === 11 ? ['done', 'open', 'done'] : ['done', 'done', 'done'],
      )
      expect(summary.own.jobs).toBe(id === 11 ? 2 : 1)
    }
    const summary = JSON.parse(await readFile(join(batch.folder, 'summary.json'), 'utf8'))
    expect(summary.datasets).toMatchObject([{ dataset: 'canaries', runs: 3 }])
  })

  it('stopped, it keeps what is done, leaves the step open, and goes on', async () => {
    const space = await workspace()
    const batch = await batchIn(space, { matrix: { seed: [1, 2] } })
    const controller = new AbortController()
    const stopped = runBatch(batch, {
      ...everything,
      parallel: 1,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'note' && event.message === 'job 2/2 seed-2: generate ...') controller.abort()
      },
    })
    await expect(stopped).rejects.toMatchObject({
      code: 'interrupted',
      message: 'stopped; what was done is kept',
    })
    const summary = await runBatch(batch, everything)
    expect(summary.jobs.map((job) => job.status)).toEqual(['done', 'done'])
  })

  it('a folder with a job of other settings is refused', async () => {
    const space = await workspace()
    const batch = await batchIn(space, { matrix: { seed: [1] } })
    const nothing: BatchOptions = { ...everything, start: async () => ({ exitCode: 1, result: {} }) }
    const summary = await runBatch(batch, nothing)
    expect(summary.jobs[0]?.failed).toEqual({ step: 'generate', message: 'exit code 1' })
    const changed = await batchIn(space, { matrix: { seed: [1] }, set: { 'generate.texts': 11 } })
    await expect(runBatch(changed, nothing)).rejects.toMatchObject({
      code: 'config',
      message: `${join(batch.folder, 'jobs', 'seed-1', 'job.json')}: this job was begun with other settings than the batch file has now`,
    })
  })

  it('gives train and evaluate what the steps before them made, and their flags', async () => {
    const space = await workspace()
    const batch = await batchIn(space, {
      steps: ['generate', 'train', 'evaluate'],
      train: { epochs: 2, pretrain: false },
      evaluate: { 'expand-only': true },
    })
    const calls: string[][] = []
    const metrics = { 'top-1': 0.25, note: 'no number' }
    const stub: BatchOptions['start'] = async (args, options) => {
      calls.push(args.map((arg) => arg.replace(batch.folder, '').replace(/job-[0-9a-f]+/, 'JOB')))
      if (args[0] === 'generate') return start(args, options)
      return { exitCode: 0, result: { metrics } }
    }
    const summary = await runBatch(batch, { ...everything, start: stub })
    expect(calls.slice(1)).toEqual([
      ['train', '/jobs/JOB/run', '--out', '/jobs/JOB/model', '--epochs', '2', '--no-pretrain', '--json'],
      [
        'evaluate',
        '/jobs/JOB/run',
        '--model',
        '/jobs/JOB/model',
        '--out',
        '/jobs/JOB/evaluation',
        '--expand-only',
        '--json',
      ],
    ])
    expect(summary.jobs[0]).toMatchObject({ status: 'done', metrics: { 'top-1': 0.25 } })
  })
})
