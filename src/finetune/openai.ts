// Fine-tuning by the OpenAI API: training file, price, upload, job, progress, model. Only synthetic text is uploaded. The
// same call again goes on where it stopped (openai-state.ts); it never uploads or pays twice.
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FileObject } from 'openai/resources/files'
import type { FineTuningJob } from 'openai/resources/fine-tuning/jobs/jobs'
import { PretextError } from '../errors.ts'
import { ignoreEvents } from '../events.ts'
import type { CorpusRows } from '../generate/writers/row.ts'
import { pause } from '../llm/pause.ts'
import { createOpenAiApi, type OpenAiApi, type OpenAiApiOptions } from './openai-api.ts'
import { checkCost, estimateFineTune, type FineTuneEstimate } from './openai-cost.ts'
import { checkFineTuneFile, writeFineTune } from './openai-dataset.ts'
import { followJob } from './openai-progress.ts'
import { checkSameFineTune, type OpenAiState, readOpenAiState, writeOpenAiState } from './openai-state.ts'

export interface OpenAiFineTuneOptions extends OpenAiApiOptions {
  /** The corpus. */
  readonly rows: CorpusRows
  /** Output folder: training.jsonl and openai.json. */
  readonly folder: string
  /** A model that the endpoint can fine-tune, such as gpt-4.1-nano-2025-04-14. */
  readonly model: string
  /** The user's turn before each text; "{label}" in it stands for the label of the row. */
  readonly instruction: string
  readonly epochs?: number
  readonly batchSize?: number
  readonly learningRateMultiplier?: number
  readonly seed?: number
  /** Ends the name of the tuned model; at most 64 characters. */
  readonly suffix?: string
  /** The corpus comes from a simulation: said in openai.json and in the job's metadata. */
  readonly simulation: boolean
  /** US dollars per million training tokens, instead of the built-in table. */
  readonly price?: number
  /** Refuses before anything is uploaded if it could cost more (US dollars). */
  readonly maxCost?: number
  /** Asked once, before the upload; false stops with nothing spent. */
  readonly confirm: (estimate: FineTuneEstimate) => Promise<boolean>
  readonly pollSeconds?: number
}

export interface OpenAiFineTuned {
  readonly jobId: string
  /** Name of the tuned model at the endpoint: usable as llm.model with provider openai. */
  readonly model: string
  readonly trainedTokens: number | undefined
  readonly estimate: FineTuneEstimate
}

export async function openAiFineTune(options: OpenAiFineTuneOptions): Promise<OpenAiFineTuned> {
  const { folder, signal } = options
  const file = join(folder, 'training.jsonl')
  const api = await createOpenAiApi(options)
  await writeFineTune(options.rows, file, options)
  const examples = await checkFineTuneFile(file)
  const fresh = await prepared(options, api.url, file, examples)
  const before = await readOpenAiState(folder)
  if (before !== undefined) checkSameFineTune(folder, before, fresh)
  const estimate = await estimateFineTune(file, fresh, options.price)
  let state = before ?? fresh
  try {
    if (state.status === 'prepared') {
      checkCost(estimate, options.maxCost)
      if (!(await options.confirm(estimate))) {
        throw new PretextError('the fine-tuning was not confirmed; nothing was uploaded and nothing spent', {
          code: 'cost',
          hint: 'confirm it at the question, or with --yes',
        })
      }
    }
    state = await upload(api, file, folder, state)
    state = await create(api, folder, state)
    state = await finish(api, folder, state, options)
  } catch (error) {
    if (signal?.aborted !== true) throw error
    state = (await readOpenAiState(folder)) ?? state
    throw new PretextError(`stopped; ${stateOf(state)}`, {
      code: 'interrupted',
      hint: 'run the same command again: it goes on, with no second upload and no second job',
    })
  }
  return {
    jobId: state.jobId as string,
    model: state.fineTunedModel as string,
    trainedTokens: state.trainedTokens,
    estimate,
  }
}

function stateOf({ jobId, status }: OpenAiState): string {
  return jobId === undefined ? `no job was created yet (${status})` : `job ${jobId} goes on at the endpoint`
}

async function prepared(
  options: OpenAiFineTuneOptions,
  url: string,
  file: string,
  examples: number,
): Promise<OpenAiState> {
  const { batchSize, learningRateMultiplier, suffix } = options
  return {
    format: 'pretext-openai-finetune',
    version: 1,
    key: randomBytes(8).toString('hex'),
    url,
    model: options.model,
    trainingFileSha256: createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
    examples,
    epochs: options.epochs ?? 3,
    ...(batchSize === undefined ? {} : { batchSize }),
    ...(learningRateMultiplier === undefined ? {} : { learningRateMultiplier }),
    seed: options.seed ?? 0,
    ...(suffix === undefined ? {} : { suffix }),
    simulation: options.simulation,
    status: 'prepared',
  }
}

async function upload(api: OpenAiApi, path: string, folder: string, from: OpenAiState): Promise<OpenAiState> {
  if (from.fileId !== undefined) return from
  const name = `pretext-${from.key}.jsonl`
  const state = await writeOpenAiState(folder, { ...from, status: 'uploading' })
  const { toFile } = await import('openai')
  const made = await api.create<FileObject>(
    'uploading the training file',
    async (client) =>
      client.files.create({ file: await toFile(createReadStream(path), name), purpose: 'fine-tune' }),
    {
      begun: from.status === 'uploading',
      find: () =>
        inPages<FileObject>(
          (after) =>
            api.call('looking for the training file', (client) =>
              client.files.list({ purpose: 'fine-tune', limit: 100, ...after }),
            ),
          (each) => each.filename === name,
        ),
    },
  )
  return writeOpenAiState(folder, { ...state, status: 'uploaded', fileId: made.id })
}

async function create(api: OpenAiApi, folder: string, from: OpenAiState): Promise<OpenAiState> {
  if (from.jobId !== undefined) return from
  const { key, model, fileId, epochs, batchSize, learningRateMultiplier, seed, suffix } = from
  const state = await writeOpenAiState(folder, { ...from, status: 'creating' })
  const job = await api.create<FineTuningJob>(
    'creating the fine-tuning job',
    (client) =>
      client.fineTuning.jobs.create({
        model,
        training_file: fileId as string,
        seed,
        ...(suffix === undefined ? {} : { suffix }),
        metadata: { pretext: key, ...(from.simulation ? { simulation: 'true' } : {}) },
        method: {
          type: 'supervised',
          supervised: {
            hyperparameters: {
              n_epochs: epochs,
              ...(batchSize === undefined ? {} : { batch_size: batchSize }),
              ...(learningRateMultiplier === undefined
                ? {}
                : { learning_rate_multiplier: learningRateMultiplier }),
            },
          },
        },
      }),
    {
      begun: from.status === 'creating',
      // By the file too: it is this fine-tuning's own, and not every endpoint keeps metadata.
      find: () =>
        inPages<FineTuningJob>(
          (after) =>
            api.call('looking for the fine-tuning job', (client) =>
              client.fineTuning.jobs.list({ limit: 100, ...after }),
            ),
          (each) => each.training_file === fileId,
        ),
    },
  )
  return writeOpenAiState(folder, { ...state, status: 'running', jobId: job.id })
}

interface Page<T> {
  readonly data: readonly T[]
  readonly has_more?: boolean
}

/** The first object that matches, over all pages; both lists come newest first. */
async function inPages<T extends { readonly id: string }>(
  page: (after: { after?: string }) => Promise<Page<T>>,
  wanted: (each: T) => boolean,
): Promise<T | undefined> {
  let after: { after?: string } = {}
  for (;;) {
    const { data, has_more: more } = await page(after)
    const found = data.find(wanted)
    const last = data.at(-1)
    if (found !== undefined || more !== true || last === undefined) return found
    after = { after: last.id }
  }
}

async function finish(
  api: OpenAiApi,
  folder: string,
  from: OpenAiState,
  options: OpenAiFineTuneOptions,
): Promise<OpenAiState> {
  if (from.status === 'succeeded') return from
  if (from.failure !== undefined) throw jobFailure(from)
  const { pollSeconds = 10, sleep = pause, signal, onEvent = ignoreEvents } = options
  const job = await followJob(api, from.jobId as string, {
    wait: () => sleep(pollSeconds * 1000, signal),
    onEvent,
    ...(signal === undefined ? {} : { signal }),
  })
  if (job.status === 'succeeded' && job.fine_tuned_model !== null) {
    return writeOpenAiState(folder, {
      ...from,
      status: 'succeeded',
      fineTunedModel: job.fine_tuned_model,
      ...(typeof job.trained_tokens === 'number' ? { trainedTokens: job.trained_tokens } : {}),
    })
  }
  const status = job.status === 'cancelled' ? 'cancelled' : 'failed'
  const words = job.error?.message
  const failure = status === 'cancelled' ? 'it was cancelled' : words || 'the endpoint gave no reason'
  throw jobFailure(await writeOpenAiState(folder, { ...from, status, failure }))
}

function jobFailure({ jobId, status, failure }: OpenAiState): PretextError {
  return new PretextError(
    `fine-tuning job ${jobId} ${status === 'cancelled' ? 'ended' : 'failed'}: ${failure}`,
    {
      code: 'provider',
      hint: 'put it right and start again in another folder (--out): a job that ended cannot go on',
    },
  )
}
