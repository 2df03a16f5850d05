// The job "evaluate-corpora" against golden values by the libraries that define its figures (test/golden/evaluation.py).
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { trainerPython } from '../../src/finetune/environment.ts'
import { CORPUS_METRICS } from '../../src/finetune/evaluate-job.ts'
import type { JobResult } from '../../src/finetune/protocol.ts'
import { runJob } from '../../src/finetune/run-job.ts'

interface Side {
  readonly features: number[][]
  readonly texts: string[]
  readonly labels: number[]
}

interface Golden {
  readonly dim: number
  readonly reference: Side
  readonly synthetic: Side
  readonly figures: Record<string, number>
}

let golden: Golden
let python: string

beforeAll(async () => {
  golden = JSON.parse(await readFile(resolve(import.meta.dirname, '../golden/evaluation.json'), 'utf8'))
  python = await trainerPython()
})

async function write(folder: string, name: string, side: Side, rows = side.texts.length, labelled = true) {
  const lines = side.texts
    .slice(0, rows)
    .map((text, i) =>
      JSON.stringify({ text, client: i >> 1, ...(labelled ? { label: side.labels[i] } : {}) }),
    )
  await writeFile(join(folder, `${name}.jsonl`), `${lines.join('\n')}\n`)
  await writeFile(join(folder, `${name}.f32`), new Float32Array(side.features.slice(0, rows).flat()))
}

async function evaluate(
  change: { rows?: number; labelled?: boolean; side?: Side } = {},
): Promise<JobResult<'evaluate-corpora'>> {
  const folder = await mkdtemp(join(tmpdir(), 'corpora-'))
  await write(folder, 'reference', golden.reference)
  await write(folder, 'a', change.side ?? golden.synthetic, change.rows, change.labelled)
  return runJob<'evaluate-corpora'>(
    {
      kind: 'evaluate-corpora',
      folder,
      dim: golden.dim,
      columns: [{ name: 'corpus', file: 'a' }],
      metrics: [...CORPUS_METRICS],
      resamples: 50,
    },
    { python, realTexts: true },
  )
}

describe('the figures of a corpus', () => {
  it('are those of scipy, prdc, mauve-text, scikit-learn and sacrebleu, inside their intervals', async () => {
    const result = await evaluate()
    expect(result).toMatchObject({ referenceTexts: 80, referenceClients: 40 })
    const column = result.columns[0]
    expect(column).toMatchObject({ name: 'corpus', texts: 70, skipped: {} })
    for (const metric of CORPUS_METRICS) {
      const figure = column?.figures[metric]
      expect(figure?.value, metric).toBeCloseTo(golden.figures[metric] as number, 5)
      expect(figure?.low, metric).toBeLessThanOrEqual(figure?.value as number)
      expect(figure?.high, metric).toBeGreaterThanOrEqual(figure?.value as number)
      expect((figure?.high as number) - (figure?.low as number), metric).toBeGreaterThan(0)
    }
  })

  it('are best for the reference itself', async () => {
    const { figures } = (await evaluate({ side: golden.reference })).columns[0] as never as {
      figures: Record<string, { value: number }>
    }
    const value = (metric: string) => figures[metric]?.value as number
    expect(value('nearest-distance')).toBeCloseTo(0, 6)
    expect(value('fid')).toBeCloseTo(0, 6)
    expect(value('mauve')).toBeCloseTo(1, 3)
    expect([value('precision'), value('recall')]).toEqual([1, 1])
    expect([value('length-distance'), value('vocabulary-divergence')]).toEqual([0, 0])
  })

  it('are left out with a reason where they cannot be computed', async () => {
    const few = (await evaluate({ rows: 3 })).columns[0]
    expect(few?.skipped).toEqual({
      fid: 'needs at least 4 texts on both sides, got 3',
      mauve: 'needs at least 40 texts on both sides, got 3',
      precision: 'needs at least 8 texts on both sides, got 3',
      recall: 'needs at least 8 texts on both sides, got 3',
      ...(few?.skipped['classifier-f1'] === undefined
        ? {}
        : {
            'classifier-accuracy': 'all of its texts have one label',
            'classifier-f1': 'all of its texts have one label',
          }),
    })
    const unlabelled = (await evaluate({ labelled: false })).columns[0]
    expect(unlabelled?.skipped).toEqual({
      'classifier-accuracy': 'the texts have no labels',
      'classifier-f1': 'the texts have no labels',
    })
  })
})
