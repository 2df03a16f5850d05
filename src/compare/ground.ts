// What all arms stand on: the split of the clients, the starting checkpoint, the trainer's Python and the evaluator. Made
// once; a comparison that goes on finds it again.
import { mkdir, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { PretextError } from '../errors.ts'
import type { ModelSums } from '../evaluate/next-token.ts'
import { inPrivateFolder, type PrivateFolder } from '../evaluate/private-folder.ts'
import { trainerEvents } from '../evaluate/trainer.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { trainerPython } from '../finetune/environment.ts'
import type { Job, JobKind, JobResult } from '../finetune/protocol.ts'
import { runJob } from '../finetune/run-job.ts'
import { startingModel } from '../finetune/starting-model.ts'
import { takeLock } from '../lock.ts'
import { hashFile } from '../models/checksums.ts'
import { readPublicTexts } from '../texts/public-texts.ts'
import type { CompareConfig } from './config.ts'
import { type Split, splitClients } from './split.ts'
import { trainOnce } from './train-once.ts'
import { dependsHash, once, readDone } from './unit.ts'

const GROUND_WAIT_MS = 3_600_000

export interface CompareOptions {
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal | undefined
  /** The trainer's Python; by default the one that environment.ts finds or makes. */
  readonly python?: string
  /** How the comparison was started, for the report. */
  readonly command?: string
  /** Name of the report's two files; "comparison" by default. */
  readonly report?: string
  /** Only a report of the parts that are done; nothing is run. */
  readonly doneOnly?: boolean
}

export interface Ground {
  readonly config: CompareConfig
  /** The base config as it stands, with the epsilon of `epsilons[0]`. */
  readonly loaded: LoadedConfig
  readonly split: Split
  /** The checkpoint that every arm starts from. */
  readonly start: Start
  /** What is not done yet is left out. */
  readonly doneOnly: boolean
  readonly onEvent: OnEvent
  readonly signal: AbortSignal | undefined
  readonly python: string
  runJob<K extends JobKind>(job: Job<K>, label: string): Promise<JobResult<K>>
  /** Sums by client over the validation clients, and where they are asked for over those that no choice sees. */
  evaluate(model: string, both: boolean): Promise<{ validation: ModelSums; evaluation: ModelSums | null }>
}

export interface Start {
  readonly folder: string
  /** Of what the folder holds, or of all that it is trained from. */
  readonly sha256: string
}

/** Makes the ground and works on it; real texts lie in a private folder meanwhile. */
export async function onGround<T>(
  config: CompareConfig,
  options: CompareOptions,
  work: (ground: Ground) => Promise<T>,
): Promise<T> {
  const { onEvent = ignoreEvents, signal } = options
  const loaded = await baseConfig(config, config.epsilons[0] as number)
  if (options.doneOnly && (await readdir(join(config.folder, 'arms')).catch(() => [])).length === 0) {
    throw new PretextError(`${config.folder}: expected parts of a comparison, found none`, {
      code: 'config',
      hint: 'without --done the same command begins it',
    })
  }
  await mkdir(config.folder, { recursive: true })
  const split = await splitClients(loaded, join(config.folder, 'data'), config.validationShare, signal)
  // A report alone needs no trainer, and must not begin what it reports on.
  const python = options.doneOnly ? '' : (options.python ?? (await trainerPython({ onEvent, signal })))
  const { counts } = split
  onEvent({
    type: 'note',
    message: `${counts.clients} clients to learn from, ${counts.validationClients} to choose settings on, ${counts.evaluationClients} to evaluate on (texts: ${counts.texts}, ${counts.validationTexts}, ${counts.evaluationTexts})`,
  })
  // Others of this comparison may be training the start.
  const unlock = await takeLock(config.folder, 'ground', { waitMs: GROUND_WAIT_MS })
  let start: Start
  try {
    start = await startOf(config, { python, onEvent, signal, doneOnly: options.doneOnly ?? false })
  } finally {
    await unlock()
  }
  return inPrivateFolder(async (folder) => {
    const files = await evaluationFiles(folder, split)
    const run = async <K extends JobKind>(job: Job<K>, label: string): Promise<JobResult<K>> => {
      const events = trainerEvents(label, onEvent)
      try {
        return await runJob<K>(job, { python, onEvent: events.onEvent, realTexts: true, signal })
      } finally {
        events.end()
      }
    }
    return work({
      config,
      loaded,
      split,
      start,
      doneOnly: options.doneOnly ?? false,
      onEvent,
      signal,
      python,
      runJob: run,
      async evaluate(model, both) {
        const on = (texts: string) =>
          run<'evaluate-model'>(
            {
              kind: 'evaluate-model',
              model,
              texts,
              sequenceTokens: config.sequenceTokens,
              device: config.device,
              threads: config.threads,
            },
            'next tokens',
          )
        if (!both) return { validation: await on(files.validation), evaluation: null }
        // One start of Python for both.
        const { validationClients, evaluationClients } = split.counts
        const all = await on(files.both)
        if (all.clients.length === validationClients + evaluationClients) {
          const validation = { ...all, clients: all.clients.slice(0, validationClients) }
          const evaluation = { ...all, clients: all.clients.slice(validationClients) }
          return { validation, evaluation: { ...evaluation, texts: split.evaluation.length } }
        }
        // Clients without a token to tell have no sums: whose they are must then be asked for.
        return { validation: await on(files.validation), evaluation: await on(files.evaluation) }
      },
    })
  })
}

/** Clients are numbers here, the validation clients first. */
async function evaluationFiles(folder: PrivateFolder, { chosenOn, evaluation, counts }: Split) {
  const after = evaluation.map((row) => ({ ...row, client: row.client + counts.validationClients }))
  return {
    validation: await folder.write('validation', chosenOn),
    evaluation: await folder.write('evaluation', evaluation),
    both: await folder.write('both', [...chosenOn, ...after]),
  }
}

/** What every run depends on besides its own settings: a folder of another ground is refused. */
export function groundHash({
  split,
  start,
  config,
  loaded,
}: Pick<Ground, 'split' | 'start' | 'config' | 'loaded'>): string {
  const { training, sequenceTokens } = config
  const { privacy, ...base } = loaded.config
  const { epsilon: _, ...terms } = privacy
  return dependsHash({ data: split.sha256, start: start.sha256, training, sequenceTokens, base, terms })
}

/** The config of a run at this epsilon, as the comparison's file changes it. */
export async function baseConfig(config: CompareConfig, epsilon: number): Promise<LoadedConfig> {
  const set = Object.entries({ ...config.set, 'privacy.epsilon': epsilon }).map(
    ([key, value]) => `${key}=${value === Number.POSITIVE_INFINITY ? '.inf' : JSON.stringify(value)}`,
  )
  try {
    return await loadConfig(config.basePath, { set })
  } catch (error) {
    if (!(error instanceof PretextError) || Object.keys(config.set).length === 0) throw error
    // Of its own fault the base tells the place; what is set here stands nowhere in it.
    await loadConfig(config.basePath)
    const message = error.message.replaceAll(/^.*?:\d+:\d+: /gm, `${config.file}: set: `)
    throw new PretextError(message, {
      code: error.code,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
}

/** Configuration, tokenizer and weights of a model folder: another checkpoint under the same name is another start. */
async function hashModel(folder: string): Promise<string> {
  const names = (await readdir(folder)).filter((name) =>
    /^(config|tokenizer|tokenizer_config|vocab)\.json$|\.(model|safetensors|bin)$/.test(name),
  )
  const hashes = names.sort().map(async (name) => [name, await hashFile(join(folder, name))])
  return dependsHash(await Promise.all(hashes))
}

interface StartTask {
  readonly python: string
  readonly doneOnly: boolean
  readonly onEvent: OnEvent
  readonly signal: AbortSignal | undefined
}

async function startOf(config: CompareConfig, task: StartTask): Promise<Start> {
  const { start, sequenceTokens, device, threads } = config
  const { onEvent, signal, python } = task
  const folder = join(config.folder, 'start')
  const env = { ...process.env, PRETEXT_PYTHON: python }
  const settings = { sequenceTokens, device, threads, gguf: false, seed: start.seed }
  if (start.from !== undefined) {
    const reference = /^\.{1,2}[/\\]/.test(start.from) ? config.path(start.from) : start.from
    const model = await startingModel(reference, { onEvent, signal })
    if (model.from === 'folder') return { folder: model.model, sha256: await hashModel(model.model) }
    throw new PretextError(`${config.file}: expected start.from to be a model folder, got a ${model.from}`, {
      code: 'config',
      hint: '"pretext train --from MODEL --pretrain FILE --max-steps 1 --out FOLDER" makes a folder of it',
    })
  }
  const files = [start.public ?? []].flat().map(config.path)
  const texts = (
    await Promise.all(files.map((file) => readPublicTexts(file, 'text', { minWords: 1 })))
  ).flat()
  const { layers, width, heads, feedForward, vocabulary, epochs, learningRate, batch, microBatch, maxSteps } =
    start
  const depends = { start: { ...start, public: null }, texts, sequenceTokens }
  const out = join(folder, 'training')
  const sha256 = dependsHash(depends)
  if (task.doneOnly) {
    // Finished parts may have come from another machine, without it. A start of other settings is refused.
    await readDone(folder, sha256)
    return { folder: join(out, 'model'), sha256 }
  }
  const { result } = await once(folder, depends, () =>
    trainOnce({
      out,
      corpus: null,
      publicTexts: { texts, name: files.map((file) => basename(file)).join(', ') },
      pretraining: {
        schedule: 'cosine',
        warmupSteps: 50,
        learningRate,
        epochs,
        batch,
        microBatch,
        ...(maxSteps === undefined ? {} : { maxSteps }),
      },
      training: {},
      model: { from: 'scratch', layers, width, heads, feedForward, vocabulary },
      settings,
      command: `pretext compare ${basename(config.file)}`,
      environment: { env },
      onEvent,
      signal,
    }),
  )
  onEvent({
    type: 'note',
    message: `all arms start from one checkpoint of ${result.parameters.toLocaleString('en-US')} parameters`,
  })
  return { folder: join(out, 'model'), sha256 }
}
