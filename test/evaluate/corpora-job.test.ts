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

type Column = JobResult<'evaluate-corpora'>['columns'][number]

/** Each set of synthetic texts as a column. MAUVE loads PyTorch, so that only the first test asks for it. */
async function evaluate(
  sets: readonly { side?: Side; rows?: number; labelled?: boolean }[],
  metrics: readonly (typeof CORPUS_METRICS)[number][] = CORPUS_METRICS.filter((name) => name !== 'mauve'),
): Promise<{ result: JobResult<'evaluate-corpora'>; columns: readonly Column[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'corpora-'))
  await write(folder, 'reference', golden.reference)
  for (const [i, { side = golden.synthetic, rows, labelled }] of sets.entries())
    await write(folder, `set-${i}`, side, rows, labelled)
  const result = await runJob<'evaluate-corpora'>(
    {
      kind: 'evaluate-corpora',
      folder,
      dim: golden.dim,
      columns: sets.map((_, i) => ({ name: 'corpus', files: [`set-${i}`] })),
      metrics: [...metrics],
      resamples: 50,
    },
    { python, realTexts: true },
  )
  return { result, columns: result.columns }
}

describe('the figures of a corpus', () => {
  it('are those of scipy, prdc, mauve-text, scikit-learn and sacrebleu, inside their intervals', async () => {
    const { result } = await evaluate([{}], CORPUS_METRICS)
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
    const { columns } = await evaluate([{ side: golden.reference }])
    const value = (metric: keyof Column['figures']) => columns[0]?.figures[metric]?.value as number
    expect(value('nearest-distance')).toBeCloseTo(0, 6)
    expect(value('fid')).toBeCloseTo(0, 6)
    expect([value('precision'), value('recall')]).toEqual([1, 1])
    expect([value('length-distance'), value('vocabulary-divergence')]).toEqual([0, 0])
  })

  it('are left out with a reason where they cannot be computed', async () => {
    const { columns } = await evaluate(
      [{ rows: 3 }, { rows: 30, labelled: false }, { rows: 1 }],
      ['fid', 'mauve', 'precision', 'self-bleu', 'classifier-accuracy'],
    )
    expect(columns[0]?.skipped).toMatchObject({
      fid: 'needs at least 4 texts on both sides, got 3',
      mauve: 'needs at least 40 texts on both sides, got 3',
      precision: 'needs at least 8 texts on both sides, got 3',
    })
    expect(columns[1]?.skipped['classifier-accuracy']).toBe('the texts have no labels')
    expect(columns[2]?.skipped).toMatchObject({
      'self-bleu': 'needs at least 2 texts, got 1',
      'classifier-accuracy': 'all of its texts have one label',
    })
  })
})
