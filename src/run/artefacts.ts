// What a finished run leaves behind: the corpus in two forms, report and card, and the ledger entries that paid for it.
import type { LoadedConfig } from '../config/load.ts'
import { writeDurable } from '../durable.ts'
import type { OnEvent } from '../events.ts'
import type { Labels } from '../evolution/labels.ts'
import type { Population } from '../evolution/population.ts'
import type { Expansion } from '../generate/expansion.ts'
import { writeParquet } from '../generate/writers/parquet.ts'
import type { CorpusRow } from '../generate/writers/row.ts'
import { boundInVotes, type VoteBound } from '../histogram/bound.ts'
import { readRelease } from '../histogram/release.ts'
import { ACCOUNTANT } from '../privacy/accountant.ts'
import { chargesIn, readLedger, spentEpsilon } from '../privacy/ledger.ts'
import { seededRandom } from '../random.ts'
import { renderCard } from '../report/card.ts'
import { corpusHashes } from '../report/corpus-hashes.ts'
import type { LengthBin, RoundReport, RunReport } from '../report/data.ts'
import { diversity, diversityWarning } from '../report/diversity.ts'
import { renderReport } from '../report/html.ts'
import { reportJson } from '../report/json.ts'
import { countWords } from '../texts/words.ts'
import { VERSION } from '../version.ts'
import type { RunFolder } from './folder.ts'
import type { GenerateResult } from './generate.ts'
import type { Models } from './models.ts'
import type { NoisePlan } from './noise.ts'
import type { Observer } from './observe.ts'
import { readCorpus } from './read-run.ts'

export interface ArtefactsTask {
  readonly loaded: LoadedConfig
  readonly run: RunFolder
  readonly models: Models
  readonly noise: NoisePlan
  readonly bound: VoteBound
  readonly ledger: string
  readonly labels: Labels
  readonly expansion: Expansion
  readonly rounds: readonly RoundReport[]
  /** Survivors of all rounds, without repeats. */
  readonly seeds: number
  readonly finalPopulation: Population
  readonly observer: Observer
  readonly warnings: string[]
  readonly onEvent: OnEvent
  readonly elapsed: () => number
}

/** What no epsilon here covers; printed with every one of them. */
const NOT_COVERED = [
  'what the language model and the embedder learned before the run',
  'prompts, hints, label lists and public texts given to the run',
  'trying several configs or seeds and keeping one: each run is charged, the choice among them is not',
  'other data sets that hold texts of the same people',
  'whether the run could start: enough clients, consented clients who are not among the private ones, rows that can be read',
]

const CORPUS_SAMPLES = 24

export async function writeArtefacts(task: ArtefactsTask): Promise<GenerateResult> {
  const { run, onEvent } = task
  const corpus = run.file('synthetic.jsonl')
  const rows = await readCorpus(run.path)
  await writeParquet(rows, run.file('synthetic.parquet'))
  const all = await readLedger(task.ledger)
  const own = chargesIn(all).filter((entry) => entry.run === run.manifest.chargedAs)
  const hashes = new Set(own.map((entry) => entry.hash))
  const entries = all.filter((entry) => hashes.has(entry.type === 'charge' ? entry.hash : entry.charge))
  await writeDurable(run.file('ledger.jsonl'), entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
  const report = await runReport(task, rows)
  const reportFile = run.file('report.html')
  await writeDurable(run.file('report.json'), reportJson(report))
  await writeDurable(reportFile, renderReport(report))
  await writeDurable(
    run.file('card.md'),
    renderCard(report, {
      language: task.loaded.config.generate.language,
      license: task.loaded.config.generate.licence,
      dataFile: 'synthetic.parquet',
    }),
  )
  onEvent({ type: 'artefact', kind: 'corpus', path: corpus })
  onEvent({ type: 'artefact', kind: 'report', path: reportFile })
  return { folder: run.path, corpus, reportFile, ledger: task.ledger, report }
}

async function runReport(task: ArtefactsTask, rows: readonly CorpusRow[]): Promise<RunReport> {
  const { run, noise, bound, models, observer, expansion } = task
  const { config } = task.loaded
  const { privacy, data, evolution } = config
  const texts = rows.map((row) => row.text)
  const spread = diversity(texts)
  const narrow = diversityWarning(spread, texts.length, 'of the corpus')
  if (narrow !== undefined) task.warnings.push(narrow)
  const final = {
    consentedToPopulation: await observer.distance(
      task.finalPopulation.map((candidate) => candidate.text),
      'final',
    ),
    consentedToCorpus: await observer.distance(texts, 'corpus'),
  }
  const charges = chargesIn(await readLedger(task.ledger))
  const usage = models.usage()
  const labels: Record<string, number> = {}
  for (const { label } of rows) if (label !== undefined) labels[label] = (labels[label] ?? 0) + 1
  return {
    format: 'pretext-report',
    version: 1,
    run: {
      id: run.manifest.id,
      name: config.name,
      startedAt: run.manifest.startedAt,
      finishedAt: new Date().toISOString(),
      seconds: task.elapsed(),
      command: run.manifest.command,
      configHash: run.manifest.configSha256,
      pretextVersion: VERSION,
      dataset: data.dataset,
      seed: config.seed,
    },
    simulation: data.simulation,
    privacy: {
      epsilon: noise.epsilon,
      delta: privacy.delta,
      unit: privacy.unit,
      adjacency: privacy.adjacency,
      other: noise.other,
      noiseMultiplier: noise.mechanism.type === 'gaussian' ? noise.mechanism.noiseMultiplier : 0,
      voteMode: config.histogram.vote,
      l2Bound: boundInVotes(bound),
      releases: noise.releases,
      redrawn: await countRedrawn(task),
      accountant: ACCOUNTANT,
      aggregation: config.federation?.mode ?? 'trusted',
      ...(config.federation?.mode === 'two-server' && config.federation.noise === 'half'
        ? { epsilonOfOneServer: noise.epsilonOfOne('half') }
        : {}),
      dataset: {
        epsilon: spentEpsilon(charges, privacy.delta),
        releases: charges.length,
        runs: new Set(charges.map((entry) => entry.run)).size,
      },
      notCovered: NOT_COVERED,
    },
    priorKnowledge: priorKnowledge(task),
    embedder: { ...models.embedder.identity, device: models.embedder.device.name },
    llm: { id: models.llm.id, ...usage },
    rounds: task.rounds,
    final,
    corpus: {
      texts: rows.length,
      requested: config.generate.texts,
      seeds: task.seeds,
      rejected: expansion.rejected,
      lengths: lengths(texts),
      diversity: spread,
      labels,
      samples: seededRandom(config.seed, 'corpus-samples').sample(rows, CORPUS_SAMPLES),
      sha256: await corpusHashes(run.path),
    },
    warnings: [...new Set([...task.rounds.flatMap((round) => round.warnings ?? []), ...task.warnings])],
  }

  function priorKnowledge({ labels: shares }: ArtefactsTask): string[] {
    const { initial } = evolution
    const known: string[] = []
    if (initial.from === 'zero-shot') known.push(`what the texts are: "${initial.hint}"`)
    else known.push('public texts for the first population')
    if (evolution.labels !== undefined) {
      known.push(`the list of labels: ${shares.names.join(', ')}`)
      if (typeof evolution.labels.shares === 'object') known.push('the shares of the labels, given as public')
    }
    if (evolution.variation.prompts !== undefined) known.push('prompts of your own')
    return known
  }
}

/** Releases of the run that were drawn again after a crash, by whichever process. */
async function countRedrawn({ run, rounds }: ArtefactsTask): Promise<number> {
  const files = ['label-shares.json', ...rounds.map(({ round }) => `${run.roundFolder(round)}/release.json`)]
  const releases = await Promise.all(files.map((file, i) => readRelease(i === 0 ? run.file(file) : file)))
  return releases.filter((release) => release?.redrawn === true).length
}

/** Histogram of words a text in bins of five. */
function lengths(texts: readonly string[]): LengthBin[] {
  const counts = texts.map(countWords)
  const last = Math.floor(Math.max(...counts, 0) / 5)
  return Array.from({ length: last + 1 }, (_, i) => ({
    fromWords: i * 5,
    toWords: i * 5 + 4,
    texts: counts.filter((count) => Math.floor(count / 5) === i).length,
  }))
}
