// A masked language model from a model folder (BERT, RoBERTa and their kin as ONNX), run in this process.
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { type DeviceName, placeOnDevice } from '../../embeddings/device.ts'
import { checkModelFolder, type Dtype } from '../../embeddings/model-folder.ts'
import { runSession, sessionOf } from '../../embeddings/run-session.ts'
import { tokenEncoder } from '../../embeddings/tokens.ts'
import { loadTransformers } from '../../embeddings/transformers.ts'
import { PretextError } from '../../errors.ts'
import type { MaskedLanguageModel } from './mask-fill.ts'

export interface MaskedLmOptions {
  /** A local folder in the layout of transformers.js. */
  readonly folder: string
  readonly dtype: Dtype
  readonly device: 'auto' | DeviceName
  /** Names model and file: part of what a run records. */
  readonly id: string
  readonly threads?: number
  readonly hasGpu?: () => boolean
}

export interface LoadedMaskedLm extends MaskedLanguageModel {
  readonly device: { readonly name: DeviceName; readonly why: string }
}

/** What devices are compared on: a batch of maskFill. */
const SEQUENCES_PER_TRIAL = 16

export async function loadMaskedLm(options: MaskedLmOptions): Promise<LoadedMaskedLm> {
  const { dtype, id, threads = availableParallelism() } = options
  checkModelFolder(options.folder, dtype)
  const folder = resolve(options.folder)
  const library = await loadTransformers()
  const tokenizer = await library.AutoTokenizer.from_pretrained(folder, { local_files_only: true })
  const maskToken = tokenizer.mask_token_id
  if (maskToken === undefined || maskToken === null) {
    throw new PretextError('expected a masked language model, whose tokenizer has a mask token, found none', {
      code: 'dependency',
      hint: 'take a model of the BERT or RoBERTa family, exported for fill-mask',
    })
  }
  const { loaded: model, device } = await placeOnDevice(
    options.device,
    async (name) => {
      const model = await library.AutoModelForMaskedLM.from_pretrained(folder, {
        local_files_only: true,
        dtype,
        device: name,
        session_options: name === 'cpu' ? { intraOpNumThreads: threads } : {},
      })
      const sample = tokenizer.encode('a sentence of some words that stands for the usual text')
      const samples = new Array(SEQUENCES_PER_TRIAL).fill(sample)
      const run = () => runSession(sessionOf(library, model), samples, 'logits')
      return { loaded: model, run, dispose: () => model.dispose() }
    },
    options.hasGpu === undefined ? {} : { hasGpu: options.hasGpu },
  )

  const session = sessionOf(library, model)
  const positions = (model.config as { max_position_embeddings?: number }).max_position_embeddings ?? 512
  // RoBERTa counts positions from the padding id on, which takes some of them away.
  const offset = String(model.config.model_type).includes('roberta') ? (tokenizer.pad_token_id ?? 1) + 1 : 0

  return {
    id,
    device,
    maxTokens: positions - offset,
    maskToken,
    specialTokens: new Set(tokenizer.all_special_ids),
    encode: tokenEncoder(tokenizer, tokenizer.pad_token_id ?? 0),
    decode: (tokens) => tokenizer.decode([...tokens], { skip_special_tokens: true }).trim(),
    async logitsAt(sequences, wanted) {
      if (sequences.length === 0) return []
      const { data, dims } = await runSession(session, sequences, 'logits')
      const [, length, vocabulary] = dims as [number, number, number]
      return wanted.map((position, i) => {
        const offset = (i * length + position) * vocabulary
        return data.slice(offset, offset + vocabulary)
      })
    },
    async dispose() {
      await model.dispose()
    },
  }
}
