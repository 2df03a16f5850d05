// An evaluation of a run or of a corpus: real texts that are not private, the columns to compare, the models trained on them,
// and a report of figures. Nothing of it flows back: no run reads what is written here.
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { writeDurable } from '../durable.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { PretextError } from '../errors.ts'
import { equalColumns, type TextColumn } from '../evaluate/columns.ts'
import { corpusFigures } from '../evaluate/corpora.ts'
import { modelFigures, type NamedModel, namedModel } from '../evaluate/models.ts'
import { inPrivateFolder, type PrivateFolder } from '../evaluate/private-folder.ts'
import { type ReferenceRow, referenceRows, sampleClients } from '../evaluate/reference.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { trainerPython } from '../finetune/environment.ts'
import { CORPUS_METRICS } from '../finetune/evaluate-job.ts'
import { seededRandom } from '../random.ts'
import type { EvaluationColumn, EvaluationReport, ModelFigures } from '../report/evaluation-data.ts'
import { renderEvaluation } from '../report/evaluation-page.ts'
import type { ConsentedTexts, SimulationTexts } from '../texts/private-texts.ts'
import { VERSION } from '../version.ts'
import { readEvaluated } from './evaluated.ts'
import { makeExpandOnly } from './expand-only.ts'
import { type Inputs, readInputs } from './inputs.ts'
import { openEmbedder } from './models.ts'

/** Groups of metrics, as they are asked for. */
export const METRIC_GROUPS = ['next-token', 'fidelity', 'diversity', 'classifier'] as const
export type MetricGroup = (typeof METRIC_GROUPS)[number]

const DIVERSITY = ['distinct-1', 'distinct-2', 'self-bleu']
const CLASSIFIER = ['classifier-accuracy', 'classifier-f1']

export interface EvaluateOptions {
  /** Folder of a finished run, or a corpus file. */
  readonly corpus: string
  /** Runs of the same data set, epsilon and delta with other seeds: the figures are means over all, and so are their intervals. */
  readonly also?: readonly string[]
  /** Config with the real texts; for a run the one that it was made with. */
  readonly config?: string
  readonly set?: readonly string[]
  /** "FOLDER" or "NAME=FOLDER" each. */
  readonly models?: readonly string[]
  readonly texts?: 'consented' | 'simulation'
  /** All that can be measured, where not given. */
  readonly metrics?: readonly MetricGroup[]
  /** Makes a corpus by the run's language model from the initial population, without votes, and compares it. */
  readonly expandOnly?: boolean
  /** Most texts in a column, and in the reference of the columns' figures. */
  readonly sample?: number
  readonly resamples?: number
  readonly sequenceTokens?: number
  readonly neighbours?: number
  readonly seed?: number
  /** Folder of the report; "evaluation" beside the corpus by default. */
  readonly out?: string
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
  /** Where the private folder is made; the system's folder for temporary files by default. */
  readonly temporary?: string
}

export interface Evaluated {
  readonly report: EvaluationReport
  readonly json: string
  readonly html: string
}

/**
 * Evaluates and writes the report. Throws PretextError; then nothing is written, but for the expand-only corpus, which is
 * paid for and kept.
 */
export async function evaluate(options: EvaluateOptions): Promise<Evaluated> {
  try {
    return await work(options)
  } catch (error) {
    if (options.signal?.aborted !== true) throw error
    throw new PretextError('stopped; no report was written', {
      code: 'interrupted',
      hint: 'run the same command again; completions of the language model are kept',
    })
  }
}

async function work(options: EvaluateOptions): Promise<Evaluated> {
  const { signal, seed = 0, sample = 2000, resamples = 1000, neighbours = 3, sequenceTokens = 64 } = options
  const warnings: string[] = []
  const onEvent: OnEvent = (event) => {
    if (event.type === 'warning') warnings.push(event.message)
    options.onEvent?.(event)
  }
  const evaluated = await readEvaluated(options)
  const { loaded, run } = evaluated
  const out = options.out ?? evaluated.out
  const models = await Promise.all((options.models ?? []).map(namedModel))
  const groups = groupsOf(options, loaded, models)
  const inputs = await readInputs(loaded, signal)
  if (inputs.clients === undefined) {
    const message =
      'the private texts are not here, so that nobody checked that the consented clients are others'
    onEvent({ type: 'warning', message })
  }
  const real = referenceOf(inputs, loaded, options)
  const labels = groups.has('classifier') ? (loaded.config.evolution.labels?.values ?? []) : []
  const rows = referenceRows(real, { labelled: labels.length > 0 })
  const python = await trainerPython({ onEvent, signal })
  const random = seededRandom(seed, 'evaluate')
  const columns = await columnsOf(evaluated.columns, inputs, options, out, onEvent)
  const metrics = corpusMetrics(groups)
  const compared = sampleClients(rows, sample, random.fork('reference'))
  const trainer = { python, onEvent, signal }

  // Models are told apart by next tokens alone, which need no embedder.
  const embedder =
    metrics.length === 0
      ? null
      : await openEmbedder(loaded, { onEvent, ...(signal === undefined ? {} : { signal }) })
  let columnFigures: EvaluationColumn[] = []
  let modelsMeasured: ModelFigures[] = []
  try {
    await inPrivateFolder(
      async (folder) => {
        modelsMeasured = await tellNextTokens(folder, rows, models, groups, {
          ...trainer,
          sequenceTokens,
          resamples,
          random,
        })
        if (embedder === null) return
        const equal = equalColumns(columns, sample, random)
        warnSmall(equal[0]?.sets[0]?.length ?? 0, onEvent)
        columnFigures = await corpusFigures({
          ...trainer,
          reference: compared,
          columns: equal,
          metrics,
          labels,
          embedder,
          folder,
          neighbours,
          resamples,
          seed,
        })
      },
      options.temporary === undefined ? {} : { root: options.temporary },
    )
  } finally {
    await embedder?.dispose()
  }
  const report: EvaluationReport = {
    format: 'pretext-evaluation',
    version: 1,
    name: run?.run.name ?? loaded.config.name,
    dataset: loaded.config.data.dataset,
    simulation: loaded.config.data.simulation,
    reference: {
      kind: real.kind,
      clients: real.clients,
      texts: real.texts,
      comparedClients: new Set(compared.map((row) => row.client)).size,
      comparedTexts: compared.length,
    },
    embedder: embedder === null ? null : embedderOf(embedder),
    neighbours,
    resamples,
    sequenceTokens,
    seed,
    columns: columnFigures,
    models: modelsMeasured,
    warnings: [...new Set(warnings)],
    pretextVersion: VERSION,
    finishedAt: new Date().toISOString(),
  }
  const json = join(out, 'evaluation.json')
  const html = join(out, 'evaluation.html')
  await writeDurable(json, `${JSON.stringify(report, null, 2)}\n`)
  await writeDurable(html, renderEvaluation(report))
  return { report, json, html }
}

function embedderOf({ identity: { model, dim, sha256 } }: Embedder): EvaluationReport['embedder'] {
  return { model, dim, sha256 }
}

/** What is measured: what was asked for, or all that there is something for. */
function groupsOf(
  { metrics }: EvaluateOptions,
  { config, file }: LoadedConfig,
  models: readonly NamedModel[],
): ReadonlySet<MetricGroup> {
  const labelled = config.evolution.labels !== undefined && config.data.consented?.label !== undefined
  if (metrics?.includes('next-token') === true && models.length === 0) {
    throw new PretextError('expected a model for the metric next-token, got none', {
      code: 'usage',
      hint: 'name the folder that "pretext train" wrote with --model',
    })
  }
  if (metrics?.includes('classifier') === true && !labelled) {
    throw new PretextError(
      `${file}: expected evolution.labels and data.consented.label for the metric classifier, got none`,
      { code: 'config', hint: 'the classifier learns labels of synthetic texts and is tested on real ones' },
    )
  }
  if (metrics !== undefined) return new Set(metrics)
  return new Set(
    METRIC_GROUPS.filter(
      (group) => (group !== 'next-token' || models.length > 0) && (group !== 'classifier' || labelled),
    ),
  )
}

function corpusMetrics(groups: ReadonlySet<MetricGroup>) {
  return CORPUS_METRICS.filter((metric) =>
    DIVERSITY.includes(metric)
      ? groups.has('diversity')
      : CLASSIFIER.includes(metric)
        ? groups.has('classifier')
        : groups.has('fidelity'),
  )
}

function referenceOf(
  { consented, clients }: Inputs,
  { file }: LoadedConfig,
  { texts }: EvaluateOptions,
): ConsentedTexts | SimulationTexts {
  if (texts === 'simulation') {
    if (clients?.kind === 'simulation') return clients
    throw new PretextError(
      `${file}: expected data.simulation: true for --texts simulation, got private texts, which are never evaluated on`,
      { code: 'config', hint: 'evaluate on consented texts: data.consented in the config' },
    )
  }
  if (consented !== undefined) return consented
  throw new PretextError(`${file}: expected consented texts to evaluate on (data.consented), got none`, {
    code: 'config',
    hint: 'name texts of other clients who agreed to reporting, in the config or with --set data.consented.path=FILE',
  })
}

/** In order: initial population, expand-only, corpus, and the ceiling where the texts are a simulation. */
async function columnsOf(
  made: readonly TextColumn[],
  { clients }: Inputs,
  options: EvaluateOptions,
  out: string,
  onEvent: OnEvent,
): Promise<TextColumn[]> {
  const columns = [...made]
  const file = await makeExpandOnly(options, out, onEvent)
  const corpus = columns.findIndex((column) => column.name === 'corpus')
  if (file !== undefined) columns.splice(corpus, 0, { name: 'expand-only', sets: [file] })
  // Simulation texts are the reference itself under --texts simulation: then there is no ceiling to show.
  if (clients?.kind === 'simulation' && options.texts !== 'simulation') {
    const rows = referenceRows(clients, { labelled: false }).map(({ text }) => ({ text }))
    columns.push({ name: 'private', sets: [rows] })
  }
  return columns
}

async function tellNextTokens(
  folder: PrivateFolder,
  rows: readonly ReferenceRow[],
  models: readonly NamedModel[],
  groups: ReadonlySet<MetricGroup>,
  task: Omit<Parameters<typeof modelFigures>[0], 'models' | 'texts'>,
): Promise<ModelFigures[]> {
  if (!groups.has('next-token')) return []
  const texts = await folder.write('texts', rows)
  return modelFigures({ ...task, models, texts })
}

const SMALL = 500

function warnSmall(texts: number, onEvent: OnEvent = ignoreEvents): void {
  if (texts >= SMALL) return
  onEvent({
    type: 'warning',
    message: `the columns are compared on ${texts} texts each: FID, MAUVE, precision and recall are rough below ${SMALL}`,
  })
}
