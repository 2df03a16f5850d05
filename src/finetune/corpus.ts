// The corpus as training takes it: a run folder or a file of synthetic texts, with the report of the run that made it. A
// corpus of several runs has the epsilon of none of them, so it is refused unless its owner states what it is.
import { stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { readIfThere } from '../durable.ts'
import { PretextError } from '../errors.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import { changedCorpus } from '../report/corpus-hashes.ts'
import type { RunReport } from '../report/data.ts'
import { epsilonText } from '../report/figures.ts'
import { readReport } from '../report/json.ts'
import { collectBadRows } from '../texts/bad-rows.ts'
import { formatOfPath, placeOf, type TextFormat, textRows } from '../texts/source.ts'

export interface CorpusPart {
  /** The file, absolute. */
  readonly path: string
  readonly texts: number
  /** Of the run that made it; null where the file lies in no run folder. */
  readonly report: RunReport | null
  readonly simulation: boolean
}

export interface TrainingCorpus {
  readonly texts: readonly string[]
  /** The label of each text, where the file has them. */
  readonly labels?: readonly (string | undefined)[]
  readonly parts: readonly CorpusPart[]
  readonly simulation: boolean
  /** What the owner says of a mixture; null for the corpus of one run. */
  readonly mix: string | null
}

export interface CorpusOptions {
  /** The owner's statement of what a mixture of runs (or texts without a report) is, for the model card. */
  readonly mix?: string | undefined
}

/**
 * Reads run folders and files of texts.
 * @throws PretextError `data` for an empty corpus, bad rows, or a mixture of runs that nobody stated
 */
export async function readTrainingCorpus(
  inputs: readonly string[],
  options: CorpusOptions = {},
): Promise<TrainingCorpus> {
  const { mix } = options
  if (mix !== undefined && mix.trim().length < 10) {
    throw new PretextError(
      'expected a statement of what the mixture is after --mix (ten characters at least), got less',
      { code: 'usage', hint: '--mix "two runs over the same clients; their epsilons add up to 8.87"' },
    )
  }
  const read = []
  for (const input of inputs) read.push(await readPart(input))
  const mixture = mixtureOf(read)
  if (mixture !== undefined && mix === undefined) {
    throw new PretextError(mixture, {
      code: 'data',
      hint: 'train on the corpus of one run, or say what the mixture is with --mix "..."; that goes into the model card',
    })
  }
  return {
    texts: read.flatMap((part) => part.rows.map((row) => row.text)),
    labels: read.flatMap((part) => part.rows.map((row) => row.label)),
    parts: read.map(({ rows, path, report, simulation }) => ({
      path,
      report,
      simulation,
      texts: rows.length,
    })),
    simulation: read.some((part) => part.simulation),
    mix: mixture === undefined ? null : (mix ?? null),
  }
}

interface ReadPart {
  readonly path: string
  readonly rows: readonly CorpusRow[]
  /** What the rows say of themselves, where they do: ids of runs. */
  readonly runs: ReadonlySet<string>
  readonly report: RunReport | null
  /** How the file is not the one that the report speaks of, in words. */
  readonly changed: string | undefined
  readonly simulation: boolean
}

async function readPart(input: string): Promise<ReadPart> {
  const { path, report } = await locate(input)
  const format = formatOfPath(path)
  const badRows = collectBadRows()
  const rows: (CorpusRow & { readonly line: number })[] = []
  for await (const row of textRows(path, format, { text: 'text' })) {
    if ('problem' in row) badRows.add(placeOf(path, format, row.line), row.problem)
    else if (row.text.trim() !== '') rows.push({ text: row.text, line: row.line })
  }
  const error = badRows.error()
  if (error !== undefined) throw error
  if (rows.length === 0) {
    throw new PretextError(`${path}: expected synthetic texts to train on, got none`, {
      code: 'data',
      hint: 'a corpus has one {"text": ...} in each row; "pretext generate" makes one',
    })
  }
  const labels = await columnOf(path, format, 'label')
  const runs = new Set((await columnOf(path, format, 'run')).values())
  const banner = await readIfThere(`${path}.SIMULATION.txt`)
  const labelled = rows.map(({ text, line }) => {
    const label = labels.get(line)
    return label === undefined ? { text } : { text, label }
  })
  return {
    path,
    rows: labelled,
    runs,
    report,
    changed: report === null ? undefined : await changedCorpus(report, path),
    simulation: report?.simulation === true || banner !== undefined,
  }
}

/** The values of a column by their lines; none where the file has no such column. */
async function columnOf(
  path: string,
  format: TextFormat,
  name: string,
): Promise<ReadonlyMap<number, string>> {
  const values = new Map<number, string>()
  try {
    for await (const row of textRows(path, format, { text: 'text', label: name })) {
      if (!('problem' in row) && row.label !== undefined && row.label !== '') values.set(row.line, row.label)
    }
  } catch (error) {
    // The texts were read from this file before: what is missing is the column.
    if (!(error instanceof PretextError)) throw error
  }
  return values
}

async function locate(input: string): Promise<{ path: string; report: RunReport | null }> {
  const absolute = resolve(input)
  const found = await stat(absolute).catch(() => undefined)
  if (found === undefined) {
    throw new PretextError(`${input}: expected a run folder or a file of synthetic texts, found nothing`, {
      code: 'data',
      hint: '"pretext runs" lists the runs here',
    })
  }
  const folder = found.isDirectory() ? absolute : dirname(absolute)
  const file = join(folder, 'report.json')
  const text = await readIfThere(file)
  if (found.isDirectory()) {
    if (text === undefined) {
      throw new PretextError(`${input}: expected a finished run with its report.json, found none`, {
        code: 'data',
        hint: 'finish the run with "pretext generate CONFIG --resume", or name a file of texts',
      })
    }
    return { path: join(absolute, 'synthetic.jsonl'), report: readReport(text, file) }
  }
  // Other files in a run folder (populations, survivors) are not what the report is about.
  const isCorpus = /^synthetic\.(jsonl|parquet)$/.test(basename(absolute))
  return { path: absolute, report: isCorpus && text !== undefined ? readReport(text, file) : null }
}

/** How a corpus is a mixture, in words; undefined where it is the corpus of one run. */
function mixtureOf(parts: readonly ReadPart[]): string | undefined {
  for (const { path, rows, runs, report, changed } of parts) {
    const foreign = [...runs].filter((run) => report !== null && run !== report.run.id)
    if (runs.size > 1 || foreign.length > 0) {
      const names = [...new Set([...(report === null ? [] : [report.run.id]), ...runs])]
      return `${path}: expected the rows of one run, got rows of ${names.length}: ${names.slice(0, 4).join(', ')}`
    }
    if (report !== null && report.corpus.texts !== rows.length) {
      return `${path}: expected the ${report.corpus.texts} texts that the report of run ${report.run.id} (epsilon ${epsilonText(report.privacy.epsilon)}) speaks of, got ${rows.length}: another corpus may be mixed in`
    }
    // As many rows, but other ones: what the report shows of the corpus is not there.
    const own = new Set(rows.map((row) => row.text))
    if (report?.corpus.samples.some(({ text }) => !own.has(text)) === true) {
      return `${path}: expected the corpus of run ${report.run.id} (epsilon ${epsilonText(report.privacy.epsilon)}), got texts without those that its report shows: another corpus may be in its place`
    }
    if (changed !== undefined) return changed
  }
  if (parts.length < 2) return undefined
  const told = parts.map(({ path, report }) =>
    report === null
      ? `${path} (no report says its epsilon)`
      : `${report.run.id} (data set ${report.run.dataset}, epsilon ${epsilonText(report.privacy.epsilon)})`,
  )
  return `expected the corpus of one run, got ${parts.length}: ${told.join(' and ')}`
}
