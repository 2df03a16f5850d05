// Training as one call: a corpus and settings in, a folder with model, card and training.json out. The trainer does the
// work; this decides where things go and what is refused, and writes what is said of the result.
import { mkdir, mkdtemp, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { writeJsonl } from '../generate/writers/jsonl.ts'
import { takeLock } from '../lock.ts'
import { infinityAsText } from '../report/json.ts'
import { VERSION } from '../version.ts'
import type { CorpusPart, TrainingCorpus } from './corpus.ts'
import { type EnvironmentOptions, trainerPython } from './environment.ts'
import { isGenerator } from './generator.ts'
import { modelCard } from './model-card.ts'
import type { Job } from './protocol.ts'
import { runJob } from './run-job.ts'
import type { TrainResult } from './train-job.ts'
import { trainingEvents } from './training-events.ts'

type TrainJobInput = Job<'train'>
/** The settings of a stage, without its texts. */
export type StageSettings = Omit<TrainJobInput['stages'][number], 'texts' | 'name'>

export interface PublicTexts {
  readonly texts: readonly string[]
  /** What they are, for the card. */
  readonly name: string
}

export interface TrainOptions {
  readonly out: string
  readonly resume?: boolean
  /** null: public pre-training alone. */
  readonly corpus: TrainingCorpus | null
  readonly training: StageSettings
  /** What pre-training and the vocabulary are learned from. */
  readonly publicTexts?: PublicTexts | undefined
  /** null: no public pre-training. */
  readonly pretraining: StageSettings | null
  readonly model: TrainJobInput['model']
  /** How the user named the model, for the card. */
  readonly modelName?: string | undefined
  /** Tunes the model that wrote the corpus all the same; the card says so. */
  readonly allowGenerator?: boolean
  readonly lora?: TrainJobInput['lora']
  readonly settings?: Partial<
    Pick<
      TrainJobInput,
      | 'seed'
      | 'sequenceTokens'
      | 'gguf'
      | 'device'
      | 'processes'
      | 'threads'
      | 'precision'
      | 'checkpointSteps'
      | 'checkpointSeconds'
    >
  >
  readonly command: string
  readonly environment?: EnvironmentOptions
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal | undefined
}

export interface Trained {
  readonly folder: string
  readonly result: TrainResult
  readonly warnings: readonly string[]
}

/**
 * Trains, and returns where the model is. Killed anywhere, the same call with `resume` goes on.
 * @throws PretextError `data`, `config`, `dependency`, `storage`, `locked`, `interrupted`
 */
export async function trainModel(options: TrainOptions): Promise<Trained> {
  const { corpus, onEvent = ignoreEvents, signal } = options
  const out = resolve(options.out)
  const warnings = checkGenerator(options)
  for (const message of warnings) onEvent({ type: 'warning', message })
  await checkOut(out, options.resume === true)
  const python = await trainerPython({ ...options.environment, onEvent, signal })
  const made = await mkdir(out, { recursive: true })
  // After a crash the lock is left behind: a resume waits until it has gone stale.
  const unlock = await takeLock(out, 'training', options.resume === true ? {} : { waitMs: 2000 })
  const scratch = await mkdtemp(join(tmpdir(), 'pretext-train-'))
  try {
    const startedAt = new Date().toISOString()
    const events = trainingEvents(onEvent)
    const job = await jobOf(options, out, scratch)
    const result = await runJob<'train'>(job, {
      python,
      signal,
      onEvent(event) {
        if (event.event === 'warning') warnings.push(event.message)
        events.onEvent(event)
      },
      ...(options.environment?.env === undefined ? {} : { env: options.environment.env }),
    })
    events.end()
    await writeSaying(options, out, { result, warnings, startedAt })
    // What it went on from is of no more use, and is several times the model's size.
    await rm(join(out, 'checkpoints'), { recursive: true, force: true })
    onEvent({ type: 'artefact', kind: 'model', path: result.model })
    return { folder: out, result, warnings }
  } finally {
    await rm(scratch, { recursive: true, force: true })
    await unlock()
    if (made !== undefined) await removeEmpty(out, made)
  }

  function checkGenerator({ modelName, allowGenerator }: TrainOptions): string[] {
    const made = corpus?.parts.map((part) => part.report?.llm.id).filter((id) => id !== undefined) ?? []
    const own = modelName === undefined ? undefined : made.find((id) => isGenerator(modelName, id))
    if (own === undefined) return []
    const message = `${modelName} wrote this corpus (${own}): a generator cannot teach itself`
    if (allowGenerator === true) return [`${message}; what is measured on it says little of the corpus`]
    throw new PretextError(message, {
      code: 'config',
      hint: 'tune another model (SmolLM2-135M for a corpus of Gemma 3 270M, or the other way round), or say --allow-generator',
    })
  }
}

async function jobOf(options: TrainOptions, out: string, scratch: string): Promise<TrainJobInput> {
  const { corpus, publicTexts, pretraining, training } = options
  const write = async (name: string, texts: readonly string[]): Promise<string> => {
    const path = join(scratch, `${name}.jsonl`)
    await writeJsonl(
      texts.map((text) => ({ text })),
      path,
    )
    return path
  }
  const publicFile = publicTexts === undefined ? undefined : await write('public', publicTexts.texts)
  const corpusFile = corpus === null ? undefined : await write('corpus', corpus.texts)
  const stages: TrainJobInput['stages'] = []
  if (pretraining !== null && publicFile !== undefined) {
    stages.push({ long: 'split', ...pretraining, texts: publicFile, name: 'public pre-training' })
  }
  if (corpusFile !== undefined) stages.push({ ...training, texts: corpusFile, name: 'training' })
  if (stages.length === 0) {
    throw new PretextError('expected a corpus or public texts to train on, got neither', {
      code: 'usage',
      hint: 'name a run folder or a file of synthetic texts, or give --pretrain FILE',
    })
  }
  const { model } = options
  return {
    kind: 'train',
    out,
    resume: options.resume === true,
    stages,
    model:
      model.from === 'scratch'
        ? { ...model, vocabularyTexts: model.tokenizer == null ? (publicFile ?? corpusFile ?? null) : null }
        : model,
    lora: options.lora ?? null,
    ...options.settings,
  }
}

/** Removes a folder with nothing in it, and those above it up to `top`: what was refused leaves none behind. */
async function removeEmpty(folder: string, top: string): Promise<void> {
  for (let path = folder; path.length >= top.length; path = dirname(path)) {
    try {
      await rmdir(path)
    } catch {
      return
    }
  }
}

/** Nothing that lies in the folder is written over. */
async function checkOut(out: string, resume: boolean): Promise<void> {
  const names = await readdir(out).catch((error: NodeJS.ErrnoException): string[] => {
    if (error.code === 'ENOENT') return []
    if (error.code !== 'ENOTDIR') throw error
    throw new PretextError(`${out}: expected a folder for the model, got a file`, { code: 'usage' })
  })
  const unfinished = names.includes('checkpoints')
  if (names.includes('training.json') && !unfinished) {
    throw new PretextError(`${out} holds a finished training`, {
      code: 'usage',
      hint: 'choose another folder with --out, or remove this one',
    })
  }
  if (unfinished && !resume) {
    throw new PretextError(`${out} holds a training that was not finished`, {
      code: 'usage',
      hint: 'go on with --resume, choose another folder with --out, or remove this one',
    })
  }
  if (resume && !unfinished) {
    throw new PretextError(`${out}: expected a training to resume, found none`, {
      code: 'usage',
      hint: 'leave --resume out to start one',
    })
  }
  const foreign = names.filter(
    (name) => !/^(checkpoints|model|adapter|model\.gguf|training\.lock|\..*)$/.test(name),
  )
  if (!unfinished && foreign.length > 0) {
    throw new PretextError(
      `${out}: expected an empty folder for the model, got one with ${foreign[0]} in it`,
      {
        code: 'usage',
        hint: 'choose another folder with --out',
      },
    )
  }
}

async function writeSaying(
  options: TrainOptions,
  out: string,
  made: { result: TrainResult; warnings: readonly string[]; startedAt: string },
): Promise<void> {
  const { corpus, lora, publicTexts, pretraining, model, settings } = options
  const { result, warnings } = made
  // Folders are named as seen from the result, which may be moved.
  const inside = (path: string | null): string | null => (path === null ? null : basename(path))
  const record = {
    format: 'pretext-training',
    version: 1,
    pretext: VERSION,
    startedAt: made.startedAt,
    finishedAt: new Date().toISOString(),
    command: options.command,
    seed: settings?.seed ?? 0,
    simulation: corpus?.simulation === true,
    base: options.modelName ?? null,
    corpus: corpus === null ? null : { mix: corpus.mix, parts: corpus.parts.map(partOf) },
    publicTexts: publicTexts === undefined || pretraining === null ? null : publicTexts.name,
    settings: {
      ...settings,
      model: model.from === 'scratch' ? { ...model, tokenizer: inside(model.tokenizer ?? null) } : model.from,
      lora: lora ?? null,
      pretraining,
      training: corpus === null ? null : options.training,
    },
    result: {
      ...result,
      model: inside(result.model),
      adapter: inside(result.adapter),
      gguf: inside(result.gguf),
    },
    warnings,
  }
  await writeDurable(
    join(out, 'README.md'),
    modelCard({
      name:
        basename(out) === 'train' || basename(out) === 'finetune'
          ? basename(resolve(out, '..'))
          : basename(out),
      corpus,
      result,
      base: options.modelName ?? null,
      publicTexts: record.publicTexts,
      command: options.command,
      seed: record.seed,
      lora:
        lora == null
          ? null
          : { rank: lora.rank ?? 4, alpha: lora.alpha ?? 8, quantise: lora.quantise ?? 'none' },
      warnings,
    }),
  )
  await writeDurable(join(out, 'training.json'), `${JSON.stringify(record, infinityAsText, 2)}\n`)
}

function partOf({ path, texts, report, simulation }: CorpusPart): Record<string, unknown> {
  if (report === null) return { file: basename(path), texts, simulation, run: null }
  const { epsilon, delta, unit, adjacency } = report.privacy
  return {
    file: basename(path),
    texts,
    simulation,
    run: report.run.id,
    dataset: report.run.dataset,
    generator: report.llm.id,
    privacy: { epsilon, delta, unit, adjacency },
  }
}
