// The whole job: private texts in, corpus and report out. Stages in order: read, open models, labels, rounds, expansion,
// report. Every stage leaves its result in the run folder, so that a run goes on where it stopped.
import type { LoadedConfig } from '../config/load.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { openPrivateCache } from '../embeddings/private-cache.ts'
import { PretextError } from '../errors.ts'
import type { OnEvent, PretextEvent } from '../events.ts'
import { evolve } from '../evolution/evolve.ts'
import { initialFromModel, initialFromPublic } from '../evolution/initial.ts'
import { type Labels, sharesFromVotes, UNLABELLED } from '../evolution/labels.ts'
import { scheduled } from '../evolution/population.ts'
import { createVariation } from '../evolution/variation/create.ts'
import { loadTemplate } from '../evolution/variation/template.ts'
import { expand } from '../generate/expansion.ts'
import { boundInVotes, voteBound } from '../histogram/bound.ts'
import { embedClients, type LocalClients } from '../histogram/clients.ts'
import { noisyVotes } from '../histogram/noise.ts'
import { releaseHistogram } from '../histogram/release.ts'
import { checkAffordable, type LedgerTerms } from '../privacy/ledger.ts'
import { seededRandom } from '../random.ts'
import type { RunReport } from '../report/data.ts'
import type { OwnerCounts } from '../texts/terminal.ts'
import { countWords } from '../texts/words.ts'
import { VERSION } from '../version.ts'
import { writeArtefacts } from './artefacts.ts'
import { type OpenCoordinator, openCoordinator } from './coordinator.ts'
import { federatedVotes } from './federated-votes.ts'
import { exists, openRun, type RunFolder } from './folder.ts'
import { readInputs } from './inputs.ts'
import { ledgerPath } from './ledger-path.ts'
import { localSteps, releaseName, stageProgress, voteOptions } from './local-steps.ts'
import { type Models, openModels } from './models.ts'
import { type NoisePlan, planNoise } from './noise.ts'
import { createObserver, readRoundReport, writeRoundReport } from './observe.ts'

export interface GenerateOptions {
  /** The run's folder; by default one named by name and time in output.folder. */
  readonly out?: string
  /** Goes on with the latest unfinished run of this name, or with the named one. */
  readonly resume?: boolean | string
  readonly onEvent?: OnEvent
  /** Stops between two LLM calls, seals the run and throws PretextError `interrupted`. */
  readonly signal?: AbortSignal
  /** Shown the exact counts of what was read: for the owner's own terminal and nothing else. */
  readonly onOwnerCounts?: (counts: OwnerCounts) => void
  /** How the run was started, for the report. */
  readonly command?: string
  /** With `federation` in the config: a coordinator that is open already, and stays open afterwards. */
  readonly coordinator?: OpenCoordinator
  /** Opens embedder and language model; the audit of corpora puts one here that leaks on purpose. */
  readonly openModels?: typeof openModels
}

export interface GenerateResult {
  readonly folder: string
  readonly corpus: string
  readonly reportFile: string
  readonly ledger: string
  readonly report: RunReport
}

/**
 * Makes a differentially private corpus. Throws PretextError; what was finished until then is kept, and `resume` goes on
 * without paying for any LLM call or any release twice.
 */
export async function generate(loaded: LoadedConfig, options: GenerateOptions = {}): Promise<GenerateResult> {
  const { config } = loaded
  const started = performance.now()
  const run = await openRun({
    config,
    runs: loaded.path(config.output.folder),
    ledger: ledgerPath(loaded),
    configFile: loaded.file,
    ...(options.out === undefined ? {} : { out: options.out }),
    ...(options.resume === undefined ? {} : { resume: options.resume }),
    command: options.command ?? 'generate()',
    pretextVersion: VERSION,
  })
  const seconds = run.manifest.seconds
  const elapsed = () => seconds + (performance.now() - started) / 1000
  let models: Models | undefined
  let own: OpenCoordinator | undefined
  try {
    if (config.federation !== undefined && options.coordinator === undefined) {
      own = await openCoordinator(loaded, options)
      options.onEvent?.({ type: 'note', message: `clients join at ${own.url}` })
    }
    models = await (options.openModels ?? openModels)(loaded, run.file('llm-cache.jsonl'), options)
    const coordinator = options.coordinator ?? own
    const result = await work(loaded, run, models, elapsed, {
      ...options,
      ...(coordinator === undefined ? {} : { coordinator }),
    })
    await run.update({ status: 'finished', finishedAt: new Date().toISOString(), seconds: elapsed() })
    return result
  } catch (error) {
    // Where even the manifest cannot be written (disk full), the first error is the one to show.
    await run.update({ status: 'sealed', seconds: elapsed() }).catch(() => {})
    if (options.signal?.aborted === true) {
      throw new PretextError(`stopped; the run is sealed in ${run.path}`, {
        code: 'interrupted',
        hint: `go on with ${options.out === undefined ? `--resume ${run.manifest.id}` : `--out ${options.out} --resume`}`,
      })
    }
    throw error
  } finally {
    await own?.close()
    await models?.dispose()
    await run.release()
  }
}

async function work(
  loaded: LoadedConfig,
  run: RunFolder,
  models: Models,
  elapsed: () => number,
  options: GenerateOptions,
): Promise<GenerateResult> {
  const { config } = loaded
  const warnings: string[] = []
  const onEvent = (event: PretextEvent): void => {
    if (event.type === 'warning' && !warnings.includes(event.message)) warnings.push(event.message)
    options.onEvent?.(event)
  }
  const warn = (message: string) => onEvent({ type: 'warning', message })
  const signal = options.signal === undefined ? {} : { signal: options.signal }

  const inputs = await readInputs(loaded, options.signal)
  if (inputs.ownerCounts !== undefined) options.onOwnerCounts?.(inputs.ownerCounts)

  const noise = planNoise(config)
  const bound = voteBound(voteOptions(config))
  const ledger = ledgerPath(loaded)
  const terms = ledgerTerms(loaded)
  const labelReleases = noise.releases - config.evolution.rounds
  await checkAffordable(
    ledger,
    terms,
    Array.from({ length: noise.releases }, (_, i) => ({
      run: run.manifest.chargedAs,
      release: releaseName(i + 1 - labelReleases),
      mechanism: noise.mechanism,
    })),
  )
  const random = seededRandom(config.seed)
  const { embedder, llm } = models
  const withCache = await privateCache(loaded, run.path, embedder)
  let clients: Promise<LocalClients> | undefined
  const localClients = (): Promise<LocalClients> => {
    const { maxTextsPerClient } = voteOptions(config)
    if (inputs.clients === undefined) throw new RangeError('the clients of a federation are elsewhere')
    const from = inputs.clients
    clients ??= withCache((used) => embedClients(from, used, { maxTextsPerClient, onEvent, ...signal }))
    return clients
  }
  const onRedrawn = (release: string) => {
    warn(
      `release ${release} was charged before a crash and drawn again under the same charge; nobody saw the first draw`,
    )
  }

  const labels = await labelShares({ loaded, run, noise, ledger, terms, localClients, onRedrawn })
  const variation = await createVariation(config.evolution.variation, {
    llm,
    prompts: promptsFolder(loaded),
    maskedModel: models.maskedModel,
  })
  const observer = createObserver({
    embedder,
    consented: inputs.consented,
    maxTextsPerClient: config.histogram.maxTextsPerClient,
    votedAsTheyAre: config.evolution.lookahead.variations === 0,
    l2Bound: boundInVotes(bound),
    random,
    onEvent,
    warn,
  })
  const roundFile = (t: number) => `${run.roundFolder(t)}/round.json`
  const releases = {
    labels,
    mechanism: noise.mechanism,
    ledger,
    terms,
    run: run.manifest.chargedAs,
    releaseFile: (t: number) => `${run.roundFolder(t)}/release.json`,
    onEvent,
    onRedrawn,
    ...signal,
  }
  const steps = localSteps({ ...releases, config, clients: localClients, embedder, variation, random, bound })
  const { federation } = config
  const coordinator = options.coordinator?.coordinator
  const { survivors, population } = await evolve(
    federation === undefined || coordinator === undefined
      ? steps
      : {
          ...steps,
          votes: federatedVotes({
            ...releases,
            config: { ...config, federation },
            coordinator,
            embedder: embedder.identity,
          }),
        },
    {
      rounds: config.evolution.rounds,
      population: config.evolution.population,
      survivors: config.evolution.survivors,
      labels,
      random,
      roundFolder: run.roundFolder,
      sealed: (t) => exists(roundFile(t)),
      initial: () => initialPopulation(loaded, inputs.publicTexts, labels, models, onEvent, options.signal),
      async seal(t, voted, result) {
        const epsilon = noise.epsilonAfter(labelReleases + t)
        await writeRoundReport(roundFile(t), await observer.round(t, epsilon, voted, result))
        const rounds = config.evolution.rounds
        onEvent({ type: 'round', round: t, rounds, epsilon, survivors: result.survivors.length })
      },
    },
  )

  // No vote is needed any more: clients can go while the corpus is written.
  await coordinator?.store.setControl('finished')
  const corpus = run.file('synthetic.jsonl')
  const expansion = await expand(survivors, corpus, {
    ...config.generate,
    template: await loadTemplate('few-shot', promptsFolder(loaded)),
    model: llm,
    sampling: config.generate,
    accept: config.generate,
    labels,
    random,
    onEvent,
    ...signal,
  })
  if (expansion.rows === 0) {
    throw new PretextError(`the language model wrote no usable text in ${expansion.tries} tries`, {
      code: 'provider',
      hint: `why they were rejected: ${rejections(expansion.rejected)}; try another llm.model or wider generate limits`,
    })
  }
  if (expansion.rows < config.generate.texts) {
    warn(
      `the corpus has ${expansion.rows} of ${config.generate.texts} texts after ${expansion.tries} prompts (rejected: ${rejections(expansion.rejected)}); raise generate.maxTries`,
    )
  }
  const rounds = []
  for (let t = 1; t <= config.evolution.rounds; t++) rounds.push(await readRoundReport(roundFile(t)))
  return writeArtefacts({
    loaded,
    run,
    models,
    noise,
    bound,
    ledger,
    labels,
    expansion,
    rounds,
    seeds: survivors.length,
    finalPopulation: population,
    observer,
    warnings,
    onEvent,
    elapsed,
  })
}

/** Private embeddings live in memory, or also in the cache that the owner named. */
async function privateCache({ config, path }: LoadedConfig, run: string, embedder: Embedder) {
  const file = config.privacy.embeddingCache
  if (file === undefined) return <T>(work: (embedder: Embedder) => Promise<T>) => work(embedder)
  const cache = await openPrivateCache(path(file), embedder, [run, path(config.output.folder)])
  return async <T>(work: (embedder: Embedder) => Promise<T>): Promise<T> => {
    const result = await work(cache.embedder)
    await cache.save()
    return result
  }
}

function rejections(rejected: Readonly<Record<string, number>>): string {
  const parts = Object.entries(rejected).filter(([, count]) => count > 0)
  return parts.length === 0 ? 'none' : parts.map(([reason, count]) => `${count} ${reason}`).join(', ')
}

export function promptsFolder({ config, path }: LoadedConfig): string | undefined {
  const { prompts } = config.evolution.variation
  return prompts === undefined ? undefined : path(prompts)
}

/** What the ledger holds a run to. Simulations have a ledger of their own. */
function ledgerTerms({ config }: LoadedConfig): LedgerTerms {
  const { data, privacy } = config
  return {
    dataset: data.simulation ? `${data.dataset}.simulation` : data.dataset,
    unit: privacy.unit,
    adjacency: privacy.adjacency,
    ...(privacy.budget === undefined ? {} : { budget: privacy.budget }),
  }
}

interface LabelTask {
  readonly loaded: LoadedConfig
  readonly run: RunFolder
  readonly noise: NoisePlan
  readonly ledger: string
  readonly terms: LedgerTerms
  readonly localClients: () => Promise<LocalClients>
  readonly onRedrawn: (release: string) => void
}

/** Shares of the labels: given, uniform, or released under DP as the first release of the run. */
async function labelShares(task: LabelTask): Promise<Labels> {
  const { labels } = task.loaded.config.evolution
  if (labels === undefined) return UNLABELLED
  const names = labels.values
  if (labels.shares === 'uniform') return { names, shares: names.map(() => 1 / names.length) }
  if (labels.shares !== 'measured') {
    const given = labels.shares
    const total = names.reduce((sum, name) => sum + (given[name] ?? 0), 0)
    return { names, shares: names.map((name) => (given[name] ?? 0) / total) }
  }
  const { histogram, redrawn } = await releaseHistogram({
    file: task.run.file('label-shares.json'),
    ledger: task.ledger,
    terms: task.terms,
    charge: { run: task.run.manifest.chargedAs, release: releaseName(0), mechanism: task.noise.mechanism },
    count: async () => (await task.localClients()).countLabels(names.length),
  })
  if (redrawn) task.onRedrawn(releaseName(0))
  return { names, shares: sharesFromVotes(noisyVotes(histogram)) }
}

export async function initialPopulation(
  loaded: LoadedConfig,
  publicTexts: readonly string[],
  labels: Labels,
  { llm }: Models,
  onEvent: OnEvent,
  signal: AbortSignal | undefined,
) {
  const { config } = loaded
  const { initial, variation } = config.evolution
  const size = scheduled(config.evolution.population, 1)
  const random = seededRandom(config.seed, 'initial')
  if (initial.from === 'public') {
    const { minWords, maxWords } = variation
    const fitting = publicTexts.filter((text) => {
      const words = countWords(text)
      return words >= minWords && words <= maxWords
    })
    return initialFromPublic(fitting.length > 0 ? fitting : publicTexts, size, labels, random)
  }
  const template = await loadTemplate('zero-shot', promptsFolder(loaded))
  const progress = stageProgress(onEvent, 'initial', 'the first population, from the model alone', size)
  const population = await initialFromModel(size, labels, random, {
    model: llm,
    sampling: variation,
    maxTokens: variation.maxTokens,
    accept: variation,
    template,
    hint: initial.hint,
    topics: initial.topics ?? template.topics ?? [],
    attempts: variation.attempts,
    onDone: progress.step,
    ...(signal === undefined ? {} : { signal }),
  })
  progress.end()
  return population
}
