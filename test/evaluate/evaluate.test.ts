// An evaluation from a run to its report: what is compared, what may not be, and that no real text gets into what it writes.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { trainerPython } from '../../src/finetune/environment.ts'
import { type EvaluateOptions, evaluate } from '../../src/run/evaluate.ts'
import { readEvaluated } from '../../src/run/evaluated.ts'
import { generate } from '../../src/run/generate.ts'
import { readRunReport } from '../../src/run/read-run.ts'
import { filesBelow, leaks, sentence, type Workspace, workspace } from '../run/workspace.ts'
import { tinyModel } from './tiny-lm.ts'

async function run(change: Parameters<typeof workspace>[0] = () => {}): Promise<Workspace> {
  const space = await workspace(change)
  await generate(await loadConfig(space.config), { out: space.out })
  return space
}

/** Labels for all: the corpus has both, and so have the consented texts. */
const labelled: Parameters<typeof workspace>[0] = (config) => {
  config.data.simulation = true
  config.data.private.label = 'label'
  config.data.consented = { path: 'consented.jsonl', client: 'client', label: 'label' }
  config.evolution.labels = { values: ['even', 'odd'] }
  config.generate = { ...config.generate, texts: 40 }
}

const message = async (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: Error) => error.message,
  )

describe('an evaluation of a simulation', () => {
  it('compares initial population, expand-only, corpus and ceiling, tells next tokens, and leaks nothing', async () => {
    const space = await run(labelled)
    // Half of the consented texts get the other label, so that the classifier has something to tell.
    const consented = Array.from({ length: 12 }, (_, c) => ({
      client: `other-${c}`,
      label: c % 2 === 0 ? 'even' : 'odd',
      text: sentence(5000 + c),
    }))
    await writeFile(
      join(space.folder, 'consented.jsonl'),
      consented.map((row) => `${JSON.stringify(row)}\n`).join(''),
    )
    const tiny = await tinyModel(await trainerPython())
    const temporary = await mkdtemp(join(tmpdir(), 'evaluate-'))
    const events: unknown[] = []
    const { report, json, html } = await evaluate({
      corpus: space.out,
      models: [tiny.folder, `initial=${tiny.folder}`],
      expandOnly: true,
      resamples: 20,
      temporary,
      onEvent: (event) => events.push(event),
    })
    expect(report.columns.map(({ name, texts, compared }) => [name, texts, compared])).toEqual([
      ['initial', 16, 16],
      ['expand-only', 40, 16],
      ['corpus', 40, 16],
      ['private', 100, 16],
    ])
    expect(report).toMatchObject({
      simulation: true,
      reference: { kind: 'consented', clients: 12, texts: 12, comparedClients: 12, comparedTexts: 12 },
    })
    for (const { name, figures, skipped } of report.columns) {
      expect(Object.keys(figures), name).toEqual(expect.arrayContaining(['fid', 'precision', 'self-bleu']))
      expect(skipped.mauve).toBe('needs at least 40 texts on both sides, got 12')
    }
    const accuracy = report.columns[2]?.figures['classifier-accuracy']?.value as number
    expect(accuracy * 12).toBeCloseTo(Math.round(accuracy * 12), 9)
    expect(report.models.map(({ name, models, clients }) => [name, models.length, clients])).toEqual([
      ['corpus', 1, 12],
      ['initial', 1, 12],
    ])
    // Twice the same model.
    expect(report.models[0]?.figures['cross-entropy']?.value).toBeCloseTo(
      report.models[1]?.figures['cross-entropy']?.value as number,
      9,
    )
    expect(report.warnings).toContain(
      'the columns are compared on 16 texts each: FID, MAUVE, precision and recall are rough below 500',
    )
    const page = await readFile(html, 'utf8')
    expect(page).toContain('<strong>Simulation.</strong>')
    expect(page).toContain('FID on embeddings')
    expect(JSON.parse(await readFile(json, 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)))

    expect(readdirSync(temporary)).toEqual([])
    const written = filesBelow(join(space.out, 'evaluation')).map((file) => readFileSync(file, 'utf8'))
    const told = [...written, JSON.stringify(events)].join('\n')
    expect(leaks([told], [])).toEqual([])
    for (const { text, client } of consented) {
      expect(told).not.toContain(text)
      expect(told).not.toContain(client)
    }
    expect(report.embedder).toMatchObject({ dim: expect.any(Number) })
    const alone = await evaluate({ corpus: space.out, metrics: ['next-token'], models: [tiny.folder] })
    expect(alone.report).toMatchObject({ embedder: null, columns: [] })
    const lossOf = (models: typeof report.models) => models[0]?.figures['cross-entropy']?.value
    expect(lossOf(alone.report.models)).toBe(lossOf(report.models))
    // Four processes of Python with PyTorch, a minute on busy cores.
  })
})

describe('an evaluation of several runs', () => {
  it('has one column for corpora of one epsilon, and refuses others', async () => {
    const space = await run((config) => {
      config.data.simulation = true
    })
    const another = async (name: string, ...set: string[]) => {
      const out = join(space.folder, name)
      await generate(await loadConfig(space.config, { set }), { out })
      return out
    }
    // Folders of one name, as those of a batch.
    const second = await another(join('second', basename(space.out)), 'seed=7')
    const { report } = await evaluate({
      corpus: space.out,
      also: [second],
      metrics: ['diversity'],
      resamples: 20,
    })
    const alone = await evaluate({ corpus: second, metrics: ['diversity'], resamples: 20 })
    const texts = (await readRunReport(space.out)).corpus.texts + (await readRunReport(second)).corpus.texts
    const corpus = report.columns.find(({ name }) => name === 'corpus')
    expect(corpus).toMatchObject({ sets: 2, texts })
    expect(report.columns.map(({ name, sets }) => [name, sets])).toEqual([
      ['initial', 2],
      ['corpus', 2],
      ['private', 1],
    ])
    expect(corpus?.figures['distinct-1']?.value).toBeGreaterThan(0)
    expect(alone.report.columns.find(({ name }) => name === 'corpus')).toMatchObject({ sets: 1 })
    const of = (...also: string[]) => message(evaluate({ corpus: space.out, also }))
    expect(await of(space.out)).toMatch(/expected another run, got .* twice/)
    const louder = await another('louder', 'privacy.epsilon=50')
    expect(await of(louder)).toMatch(
      /louder: expected a run like .* \(data set .*, epsilon .*\), got one with .* epsilon 50,/,
    )
    const file = join(space.out, 'synthetic.jsonl')
    expect(await message(evaluate({ corpus: file, config: space.config, also: [second] }))).toBe(
      `expected the folder of a run beside --also, got the file ${file}`,
    )
  })
})

describe('what may not be evaluated on', () => {
  let space: Workspace
  const of = (change: Partial<EvaluateOptions> = {}) => message(evaluate({ corpus: space.out, ...change }))
  const config = async (change: (config: Record<string, Record<string, unknown>>) => void) => {
    const { parse } = await import('yaml')
    const changed = parse(await readFile(space.config, 'utf8'))
    change(changed)
    const file = join(space.folder, `changed-${Math.round(performance.now() * 1000)}.yaml`)
    await writeFile(file, stringify(changed))
    return file
  }

  beforeAll(async () => {
    space = await run()
  })

  it('private texts', async () => {
    expect(await of({ texts: 'simulation' })).toBe(
      `${space.config}: expected data.simulation: true for --texts simulation, got private texts, which are never evaluated on`,
    )
  })

  it('a corpus that is no longer the one of its run', async () => {
    const { corpus } = await readRunReport(space.out)
    for (const name of ['synthetic.jsonl', 'synthetic.parquet']) {
      const bytes = readFileSync(join(space.out, name))
      expect(corpus.sha256?.[name]).toBe(createHash('sha256').update(bytes).digest('hex'))
    }
    expect((await readEvaluated({ corpus: space.out })).columns.at(-1)?.sets[0]).toHaveLength(corpus.texts)
    const changed = join(space.folder, 'changed-run')
    await cp(space.out, changed, { recursive: true })
    const file = join(changed, 'synthetic.jsonl')
    await writeFile(file, (await readFile(file, 'utf8')).replace(/"text":"\w+/, '"text":"Zebra'))
    await expect(evaluate({ corpus: changed })).rejects.toMatchObject({
      code: 'data',
      message: expect.stringMatching(
        /synthetic\.jsonl: expected the corpus that run .* wrote, sha256 .*: rows were changed/,
      ),
      hint: `put the file of the run back, or evaluate what it is now as a file: pretext evaluate ${file} --config FILE`,
    })
  })

  it('no consented texts', async () => {
    const file = await config(({ data }) => {
      delete data?.consented
    })
    expect(await of({ config: file })).toBe(
      `${file}: expected consented texts to evaluate on (data.consented), got none`,
    )
  })

  it('consented clients who are among the private ones', async () => {
    const clients = await readFile(join(space.folder, 'clients.jsonl'), 'utf8')
    await writeFile(join(space.folder, 'overlap.jsonl'), clients.split('\n').slice(0, 4).join('\n'))
    const file = await config(({ data }) => {
      Object.assign(data as object, { consented: { path: 'overlap.jsonl', client: 'client' } })
    })
    expect(await of({ config: file })).toBe(
      'expected the consented clients to be others than those of the data set, got some that are in both',
    )
  })

  it('no labels for the classifier, no model for next tokens', async () => {
    expect(await of({ metrics: ['classifier'] })).toBe(
      `${space.config}: expected evolution.labels and data.consented.label for the metric classifier, got none`,
    )
    expect(await of({ metrics: ['next-token'] })).toBe('expected a model for the metric next-token, got none')
  })

  it('a model folder that is none', async () => {
    expect(await of({ models: ['/nowhere'] })).toBe(
      '/nowhere: expected a model folder with config.json, found none',
    )
  })

  it('nothing, an empty corpus, a corpus without a config, a run that is not finished', async () => {
    expect(await of({ corpus: '/nowhere' })).toBe(
      '/nowhere: expected a finished run or a corpus file, got nothing there',
    )
    const empty = join(space.folder, 'empty.jsonl')
    await writeFile(empty, '{"text": "  "}\n')
    expect(await of({ corpus: empty })).toBe(
      `expected --config FILE with the real texts, as ${empty} is no folder of a run`,
    )
    expect(await of({ corpus: empty, config: space.config })).toBe(
      `${empty}: expected a corpus of at least one text, got an empty one`,
    )
    const bad = join(space.folder, 'bad.jsonl')
    await writeFile(bad, '{"text": "fine"}\n{"words": "secret"}\n')
    expect(await of({ corpus: bad, config: space.config })).toBe(
      `${bad}:2: expected a JSON object with a string in "text", got an object without it`,
    )
    const unfinished = join(space.folder, 'unfinished')
    await mkdir(unfinished)
    expect(await of({ corpus: unfinished })).toBe(`${unfinished}: expected a finished run, found none`)
    expect(await of({ corpus: bad.replace('bad', 'synthetic'), expandOnly: true })).toContain(
      'got nothing there',
    )
  })

  it('another override of a key than together with a config', async () => {
    expect(await of({ set: ['seed=2'] })).toBe('expected --set together with --config FILE, got it alone')
  })
})
