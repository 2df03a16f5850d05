// Loads a sentence encoder into ONNX Runtime, with pooling in its graph: the states of a text's tokens are summed where they
// are (on a GPU a hundredth of the bytes comes back).
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PretextError } from '../errors.ts'
import type { DeviceName } from './device.ts'
import { type LoadedEncoder, STATES, SUMS } from './encode.ts'
import { type Dtype, weightsFile } from './model-folder.ts'
import { extendModel } from './onnx-graph.ts'
import { loadOnnxRuntime } from './onnx-runtime.ts'
import { runSession, type Session } from './run-session.ts'
import { tokenEncoder } from './tokens.ts'
import { loadTransformers } from './transformers.ts'

export interface EncoderOptions {
  /** Absolute path of a local folder in the layout of transformers.js (see model-folder.ts). */
  readonly folder: string
  readonly dtype: Dtype
  readonly device: DeviceName
  readonly maxTokens: number
  /** Of the CPU, in each operator. */
  readonly threads: number
}

/** Padded tokens in one pass of the model: more is no faster on a CPU and costs memory; a GPU wants to be filled. */
const TOKENS_PER_BATCH = { cpu: 2_048, webgpu: 16_384, cuda: 32_768 } as const

export async function loadEncoder(options: EncoderOptions): Promise<LoadedEncoder> {
  const { folder, maxTokens, device } = options
  const library = await loadTransformers()
  const config = await library.AutoConfig.from_pretrained(folder, { local_files_only: true })
  checkMaxTokens(maxTokens, (config as { max_position_embeddings?: number }).max_position_embeddings ?? 512)
  const tokenizer = await library.AutoTokenizer.from_pretrained(folder, { local_files_only: true })
  const encode = tokenEncoder(tokenizer, tokenizer.pad_token_id ?? 0)
  const session = await openSession(options)
  // One short text tells the size of an embedding, and whether the model is an encoder at all.
  const pools = session.outputNames.includes(SUMS)
  const { dims } = await runSession(session, [encode('a', maxTokens)], pools ? SUMS : STATES)
  return {
    session,
    encode: (text) => encode(text, maxTokens),
    dim: dims.at(-1) as number,
    // Without a mask padding would count, so that every text is a batch of its own.
    tokensPerBatch: session.inputNames.includes('attention_mask') ? TOKENS_PER_BATCH[device] : 0,
  }
}

async function openSession({ folder, dtype, device, threads }: EncoderOptions): Promise<Session> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime()
  const file = join(folder, weightsFile(dtype))
  const options = {
    executionProviders: [device],
    // Nothing is logged, whoever loaded ONNX Runtime first: its messages quote token ids.
    logSeverityLevel: 4 as const,
    ...(device === 'cpu' ? { intraOpNumThreads: threads, interOpNumThreads: 1 } : {}),
  }
  const model = withSums(await readFile(file))
  // As it is, where it has weights in other files (which are found by its path), no mask, or other outputs.
  const session = await InferenceSession.create(model, options).catch(() =>
    InferenceSession.create(file, options),
  )
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    run: (feeds, fetches) => session.run(feeds as Parameters<typeof session.run>[0], [...fetches]),
    tensor: (values, shape) => new Tensor('int64', values, shape),
  }
}

/**
 * sums = mask x states, for each text: 1 x tokens by tokens x dim. States of padding are made 0 first: what a model gives
 * there need not be finite.
 */
function withSums(model: Uint8Array): Uint8Array {
  const [float32, bool] = [{ to: 1 }, { to: 9 }]
  return extendModel(model, {
    nodes: [
      { type: 'Cast', inputs: ['attention_mask'], outputs: ['pretext_mask'], attributes: float32 },
      { type: 'Reshape', inputs: ['pretext_mask', 'pretext_row_shape'], outputs: ['pretext_row'] },
      { type: 'Cast', inputs: ['attention_mask'], outputs: ['pretext_own'], attributes: bool },
      { type: 'Reshape', inputs: ['pretext_own', 'pretext_column_shape'], outputs: ['pretext_column'] },
      { type: 'Cast', inputs: [STATES], outputs: ['pretext_states'], attributes: float32 },
      {
        type: 'Where',
        inputs: ['pretext_column', 'pretext_states', 'pretext_zero'],
        outputs: ['pretext_own_states'],
      },
      { type: 'MatMul', inputs: ['pretext_row', 'pretext_own_states'], outputs: [SUMS] },
    ],
    constants: [
      // As many texts as there are; 1 and what remains.
      { name: 'pretext_row_shape', type: 'int64', dims: [3], data: BigInt64Array.of(0n, 1n, -1n) },
      { name: 'pretext_column_shape', type: 'int64', dims: [3], data: BigInt64Array.of(0n, -1n, 1n) },
      { name: 'pretext_zero', type: 'float32', dims: [], data: Float32Array.of(0) },
    ],
    outputs: [{ name: SUMS, type: 'float32', dims: ['texts', 'one', 'dim'] }],
  })
}

function checkMaxTokens(maxTokens: number, limit: number): void {
  if (Number.isInteger(maxTokens) && maxTokens >= 4 && maxTokens <= limit) return
  throw new PretextError(
    `expected maxTokens to be an integer from 4 to ${limit} (what the model has positions for), got ${maxTokens}`,
    { code: 'config', hint: '128 suits sentences and short paragraphs' },
  )
}
