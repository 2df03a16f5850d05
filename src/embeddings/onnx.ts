// The sentence embedder: an ONNX encoder in this process through transformers.js, mean pooling over the attention mask,
// L2 norm 1 (Sentence-BERT, arXiv 1908.10084, section 3; PrE-Text embeds with all-MiniLM-L6-v2).
//
// Batch invariance: on the x64 CPU with the int8 all-MiniLM-L6-v2 (weights stored as int8, computed in fp32) a text's
// embedding was bit for bit the same alone and among 3, 15 or 63 others with padding (largest difference 0 over 128
// texts; test/embeddings/onnx-minilm.test.ts). It is a property of these kernels and not promised: call once per client.
//
// Speed on 2 cores over texts of 15 to 60 words: 95 texts/s with one client of 4 texts per call, 107 with 64 a call, 120
// with 512 (npx vitest bench test/embeddings).
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { PretextError } from '../errors.ts'
import { type DeviceName, placeOnDevice } from './device.ts'
import type { Embedder } from './embedder.ts'
import { encodeTexts, hiddenStates, onnxIdentity } from './encode.ts'
import { checkModelFolder, type Dtype } from './model-folder.ts'
import { tokenEncoder } from './tokens.ts'
import { loadTransformers, type Transformers } from './transformers.ts'

export interface OnnxEmbedderOptions {
  /** A local folder in the layout of transformers.js (see model-folder.ts). */
  readonly folder: string
  readonly dtype: Dtype
  /** `auto`: the faster of a GPU that works and the cpu (device.ts). */
  readonly device: 'auto' | DeviceName
  /** A text is cut after this many tokens, special tokens counted. Default 128, what all-MiniLM-L6-v2 was trained on. */
  readonly maxTokens?: number
  /** Name and hash of the weights, for the identity. */
  readonly modelId: string
  readonly sha256: string
  /** Threads of the CPU; default all cores. */
  readonly threads?: number
  readonly hasGpu?: () => boolean
}

/** Padded tokens in one pass of the model: more is no faster on a CPU and costs memory; a GPU wants to be filled. */
const TOKENS_PER_BATCH = { cpu: 2_048, webgpu: 16_384, cuda: 32_768 } as const

/** What devices are compared on: about what one client has. */
const TEXTS_PER_TRIAL = 4
const TRIAL_TEXT = 'a sentence of some words that stands for the usual text '.repeat(4)

type Model = Awaited<ReturnType<Transformers['AutoModel']['from_pretrained']>>

export async function createOnnxEmbedder(options: OnnxEmbedderOptions): Promise<Embedder> {
  const { folder, dtype, maxTokens = 128, modelId, threads = availableParallelism() } = options
  checkModelFolder(folder, dtype)
  const path = resolve(folder)
  const library = await loadTransformers()
  const tokenizer = await library.AutoTokenizer.from_pretrained(path, { local_files_only: true })

  const { loaded, device } = await placeOnDevice(
    options.device,
    async (name) => {
      const model = await library.AutoModel.from_pretrained(path, {
        local_files_only: true,
        dtype,
        device: name,
        session_options: name === 'cpu' ? { intraOpNumThreads: threads } : {},
      })
      checkMaxTokens(maxTokens, model)
      const sample = new Array(TEXTS_PER_TRIAL).fill(tokenizer.encode(TRIAL_TEXT).slice(0, maxTokens))
      const run = () => hiddenStates(library, model, sample)
      const states = await run()
      if (!states.data.every(Number.isFinite)) throw new Error('it gave numbers that are not finite')
      return { loaded: { model, dim: states.dims[2] as number }, run, dispose: () => model.dispose() }
    },
    options.hasGpu === undefined ? {} : { hasGpu: options.hasGpu },
  )
  const { model, dim } = loaded
  const encode = tokenEncoder(tokenizer, tokenizer.pad_token_id ?? 0)

  return {
    identity: onnxIdentity({ modelId, sha256: options.sha256, dtype, maxTokens, dim }),
    device,
    embed: (texts, { signal } = {}) =>
      encodeTexts(texts, {
        library,
        model,
        encode: (text) => encode(text, maxTokens),
        dim,
        tokensPerBatch: TOKENS_PER_BATCH[device.name],
        ...(signal === undefined ? {} : { signal }),
      }),
    async dispose() {
      await model.dispose()
    },
  }
}

function checkMaxTokens(maxTokens: number, model: Model): void {
  const limit = Number((model.config as { max_position_embeddings?: number }).max_position_embeddings ?? 512)
  if (!Number.isInteger(maxTokens) || maxTokens < 4 || maxTokens > limit) {
    throw new PretextError(
      `expected maxTokens to be an integer from 4 to ${limit} (what the model has positions for), got ${maxTokens}`,
      { code: 'config', hint: '128 suits sentences and short paragraphs' },
    )
  }
}
