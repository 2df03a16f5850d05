// Figures of the columns against the real texts: embeddings in this process, figures in the trainer's Python, where the
// libraries that define them are.
import type { Embedder } from '../embeddings/embedder.ts'
import type { CORPUS_METRICS } from '../finetune/evaluate-job.ts'
import { runJob } from '../finetune/run-job.ts'
import type { EvaluationColumn } from '../report/evaluation-data.ts'
import { type ComparedColumn, labelIndexes } from './columns.ts'
import type { PrivateFolder } from './private-folder.ts'
import type { ReferenceRow } from './reference.ts'
import { type TrainerOptions, trainerEvents } from './trainer.ts'

export interface CorporaTask extends TrainerOptions {
  readonly reference: readonly ReferenceRow[]
  readonly columns: readonly ComparedColumn[]
  readonly metrics: readonly (typeof CORPUS_METRICS)[number][]
  /** The public list of labels; empty without labels. */
  readonly labels: readonly string[]
  readonly embedder: Embedder
  readonly folder: PrivateFolder
  readonly neighbours: number
  readonly resamples: number
  readonly seed: number
}

export async function corpusFigures(task: CorporaTask): Promise<EvaluationColumn[]> {
  const { reference, columns, embedder, folder, labels, onEvent } = task
  const signal = task.signal === undefined ? {} : { signal: task.signal }
  const sets = columns.flatMap((column, i) =>
    column.sets.map((rows, j) => ({ column: i, name: `column-${i}-${j}`, rows })),
  )
  const total = sets.length + 1
  const label = 'embedding real and synthetic texts'
  onEvent({ type: 'stage', stage: 'embed', label, total, unit: 'sets' })
  const texts = reference.map((row) => row.text)
  await folder.write('reference', reference, await embedder.embed(texts, signal))
  onEvent({ type: 'progress', stage: 'embed', done: 1, total })
  for (const [i, { name, rows }] of sets.entries()) {
    const indexes = labelIndexes(rows, labels)
    const lines = rows.map(({ text }, row) => ({
      text,
      ...(indexes[row] === undefined ? {} : { label: indexes[row] }),
    }))
    const own = rows.map((row) => row.text)
    await folder.write(name, lines, await embedder.embed(own, signal))
    onEvent({ type: 'progress', stage: 'embed', done: i + 2, total })
  }
  onEvent({ type: 'stage-end', stage: 'embed', label })
  const events = trainerEvents('comparing them', onEvent)
  const result = await runJob<'evaluate-corpora'>(
    {
      kind: 'evaluate-corpora',
      folder: folder.path,
      dim: embedder.identity.dim,
      columns: columns.map(({ name }, i) => ({
        name,
        files: sets.filter(({ column }) => column === i).map((set) => set.name),
      })),
      metrics: [...task.metrics],
      neighbours: task.neighbours,
      resamples: task.resamples,
      seed: task.seed,
    },
    { python: task.python, onEvent: events.onEvent, realTexts: true, ...signal },
  )
  events.end()
  return result.columns.map(({ figures, skipped }, i) => {
    const { name, texts: all, sets: own } = columns[i] as ComparedColumn
    return { name, texts: all, sets: own.length, compared: own[0]?.length ?? 0, figures, skipped }
  })
}
