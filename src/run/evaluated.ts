// What an evaluation is of: a run with its config and its populations, or a corpus file with a config beside it.
import { stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import type { TextColumn } from '../evaluate/columns.ts'
import { readPopulation } from '../evolution/population.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import { changedCorpus } from '../report/corpus-hashes.ts'
import type { RunReport } from '../report/data.ts'
import { epsilonText } from '../report/figures.ts'
import { formatOfPath, placeOf, textRows } from '../texts/source.ts'
import { readManifest } from './folder.ts'
import { readCorpus, readRunConfig, readRunReport } from './read-run.ts'

export interface EvaluatedCorpus {
  readonly loaded: LoadedConfig
  /** Of a run; undefined for a file. */
  readonly run: RunReport | undefined
  readonly columns: readonly TextColumn[]
  /** Where the report goes by default. */
  readonly out: string
}

export interface EvaluatedOptions {
  readonly corpus: string
  /** Other runs of the same data set, epsilon and delta, with other seeds: their corpora and this one are one thing. */
  readonly also?: readonly string[]
  readonly config?: string
  readonly set?: readonly string[]
}

export async function readEvaluated(options: EvaluatedOptions): Promise<EvaluatedCorpus> {
  const { corpus, also = [], config, set } = options
  const found = await stat(corpus).catch(() => undefined)
  if (found === undefined) {
    throw new PretextError(`${corpus}: expected a finished run or a corpus file, got nothing there`, {
      code: 'data',
      hint: '"pretext runs" lists runs',
    })
  }
  const given = config === undefined ? undefined : await loadConfig(config, set === undefined ? {} : { set })
  if (found.isDirectory()) {
    const runs = await Promise.all([corpus, ...also].map(readRun))
    checkAlike(runs)
    const initial = runs.flatMap(({ initial: rows }) => (rows === undefined ? [] : [rows]))
    const columns: TextColumn[] = [{ name: 'corpus', sets: runs.map(({ rows }) => rows) }]
    return {
      loaded: given ?? (await configOfRun(corpus, set)),
      run: runs[0]?.report,
      columns: initial.length === 0 ? columns : [{ name: 'initial', sets: initial }, ...columns],
      out: join(corpus, 'evaluation'),
    }
  }
  if (also.length > 0) {
    throw new PretextError(`expected the folder of a run beside --also, got the file ${corpus}`, {
      code: 'usage',
      hint: 'only runs say at which epsilon a corpus was made, so that corpora of one epsilon are put together',
    })
  }
  if (given === undefined) {
    throw new PretextError(`expected --config FILE with the real texts, as ${corpus} is no folder of a run`, {
      code: 'usage',
      hint: 'the config that the corpus was made with, or one with the same data section',
    })
  }
  const rows = await readCorpusFile(corpus)
  return {
    loaded: given,
    run: undefined,
    columns: [{ name: 'corpus', sets: [rows] }],
    out: join(dirname(corpus), 'evaluation'),
  }
}

interface ReadRun {
  readonly folder: string
  readonly report: RunReport
  readonly rows: readonly CorpusRow[]
  readonly initial: readonly CorpusRow[] | undefined
}

async function readRun(folder: string): Promise<ReadRun> {
  const report = await readRunReport(folder)
  const file = join(folder, 'synthetic.jsonl')
  const changed = await changedCorpus(report, file)
  if (changed !== undefined) {
    throw new PretextError(changed, {
      code: 'data',
      hint: `put the file of the run back, or evaluate what it is now as a file: pretext evaluate ${file} --config FILE`,
    })
  }
  const initial = await readPopulation(join(folder, 'rounds', '0001', 'population.jsonl'))
  return { folder, report, rows: await readCorpus(folder), initial }
}

/** Seeds may differ, and what they draw; a mean over two epsilons would be a figure of neither. */
function checkAlike(runs: readonly ReadRun[]): void {
  const told = ({ report: { run, privacy } }: ReadRun) =>
    `data set ${run.dataset}, epsilon ${epsilonText(privacy.epsilon)}, delta ${privacy.delta}, ${privacy.adjacency}`
  const [first, ...others] = runs as [ReadRun, ...ReadRun[]]
  // Folders of several runs may have one name ("run"); one corpus is one run, wherever it lies.
  const corpusOf = ({ report }: ReadRun) => report.corpus.sha256?.['synthetic.jsonl'] ?? report.run.id
  const seen = new Set([corpusOf(first)])
  for (const other of others) {
    const { folder, report } = other
    if (told(other) !== told(first)) {
      throw new PretextError(
        `${folder}: expected a run like ${first.folder} (${told(first)}), got one with ${told(other)}`,
        { code: 'usage', hint: 'evaluate it by itself' },
      )
    }
    if (seen.has(corpusOf(other))) {
      throw new PretextError(`${folder}: expected another run, got the corpus of ${report.run.id} twice`, {
        code: 'usage',
      })
    }
    seen.add(corpusOf(other))
  }
}

/** The config as the run was made with it; its paths start from where it lay then. */
export async function configOfRun(run: string, set?: readonly string[]): Promise<LoadedConfig> {
  const manifest = await readManifest(run)
  const name = manifest?.configFile
  if (name === undefined) {
    throw new PretextError(
      `${run}: expected to find the config that it was made with, found no mention of it`,
      {
        code: 'usage',
        hint: 'name it with --config FILE',
      },
    )
  }
  const file = resolve(run, name)
  const path = (relative: string) => resolve(dirname(file), relative)
  if (set !== undefined && set.length > 0) {
    throw new PretextError('expected --set together with --config FILE, got it alone', {
      code: 'usage',
      hint: `--config ${file}`,
    })
  }
  return { config: await readRunConfig(run), file, path }
}

/** Rows of a corpus in any of the formats: columns "text" and, where there is one, "label". */
async function readCorpusFile(file: string): Promise<CorpusRow[]> {
  const rows: CorpusRow[] = []
  const format = formatOfPath(file)
  for await (const row of textRows(file, format, { text: 'text', label: 'label' })) {
    if ('problem' in row) {
      throw new PretextError(`${placeOf(file, format, row.line)}: ${row.problem}`, { code: 'data' })
    }
    const { text, label } = row
    if (text.trim() !== '') rows.push(label === undefined ? { text } : { text, label })
  }
  if (rows.length > 0) return rows
  throw new PretextError(`${file}: expected a corpus of at least one text, got an empty one`, {
    code: 'data',
    hint: 'check what wrote the file; its column must be named "text"',
  })
}
