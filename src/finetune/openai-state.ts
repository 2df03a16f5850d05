// What is known of an OpenAI fine-tuning, kept in its output folder (openai.json) before and after every step that costs
// something, so that a killed process goes on without a second upload or a second job.
import { join } from 'node:path'
import { z } from 'zod'
import { readIfThere, writeDurable } from '../durable.ts'
import { PretextError } from '../errors.ts'

const State = z.object({
  format: z.literal('pretext-openai-finetune'),
  version: z.literal(1),
  /** Names this fine-tuning at the endpoint: in the file's name and in the job's metadata. */
  key: z.string(),
  url: z.string(),
  model: z.string(),
  /** sha256 of the training file and the settings of the method. */
  trainingFileSha256: z.string(),
  examples: z.number(),
  epochs: z.number(),
  batchSize: z.number().optional(),
  learningRateMultiplier: z.number().optional(),
  seed: z.number(),
  suffix: z.string().optional(),
  simulation: z.boolean(),
  status: z.enum([
    'prepared',
    'uploading',
    'uploaded',
    'creating',
    'running',
    'succeeded',
    'failed',
    'cancelled',
  ]),
  fileId: z.string().optional(),
  jobId: z.string().optional(),
  fineTunedModel: z.string().optional(),
  trainedTokens: z.number().optional(),
  failure: z.string().optional(),
})

export type OpenAiState = z.infer<typeof State>

const stateFile = (folder: string): string => join(folder, 'openai.json')

export async function readOpenAiState(folder: string): Promise<OpenAiState | undefined> {
  const file = stateFile(folder)
  const text = await readIfThere(file)
  if (text === undefined) return undefined
  try {
    return State.parse(JSON.parse(text))
  } catch {
    throw new PretextError(`${file}: expected the state of an OpenAI fine-tuning, got something else`, {
      code: 'data',
      hint: 'choose another folder with --out; the job itself can be seen in the account it belongs to',
    })
  }
}

export async function writeOpenAiState(folder: string, state: OpenAiState): Promise<OpenAiState> {
  await writeDurable(stateFile(folder), `${JSON.stringify(state, null, 2)}\n`)
  return state
}

const FIXED = [
  'url',
  'model',
  'trainingFileSha256',
  'epochs',
  'batchSize',
  'learningRateMultiplier',
  'seed',
  'suffix',
] as const

/** Fails where the folder holds the fine-tuning of another corpus or of other settings. */
export function checkSameFineTune(folder: string, before: OpenAiState, now: OpenAiState): void {
  const differs = FIXED.filter((name) => before[name] !== now[name])
  if (differs.length === 0) return
  const names = differs.map((name) => (name === 'trainingFileSha256' ? 'corpus or instruction' : name))
  throw new PretextError(`${folder} holds another fine-tuning (different: ${names.join(', ')})`, {
    code: 'config',
    hint: 'go on with the corpus and the settings that it was started with, or choose another folder with --out',
  })
}
