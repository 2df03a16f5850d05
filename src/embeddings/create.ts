// The embedder that a config asks for.
import { basename, isAbsolute } from 'node:path'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import type { ResolvedModel } from '../models/model.ts'
import { resolveUserModel } from '../models/user-models.ts'
import type { DeviceName } from './device.ts'
import type { Embedder } from './embedder.ts'
import { createHashingEmbedder } from './hashing.ts'
import { type Dtype, dtypeAmong, weightsFile } from './model-folder.ts'
import { createOnnxEmbedder } from './onnx.ts'

export interface EmbedderConfig {
  /** `hashing`, a built-in model (`all-MiniLM-L6-v2`), a local folder, or a Hub id (`owner/name[@revision]`). */
  readonly model: string
  /** Default: the most exact one that the model comes in. */
  readonly dtype?: Dtype
  readonly device: 'auto' | DeviceName
  /** Default 128; a longer text is cut. Not used by `hashing`. */
  readonly maxTokens?: number
}

export interface EmbedderDependencies {
  /** Finds or fetches the model's files; default the model store. */
  readonly resolve?: (
    reference: string,
    options: { readonly dtype?: Dtype; readonly onEvent?: OnEvent; readonly signal?: AbortSignal },
  ) => Promise<Pick<ResolvedModel, 'id' | 'folder' | 'files'>>
  readonly onEvent?: OnEvent
  readonly signal?: AbortSignal
}

export interface FoundEncoder {
  readonly id: string
  readonly folder: string
  readonly dtype: Dtype
  /** Of the weights. */
  readonly sha256: string
  readonly files: ResolvedModel['files']
}

export async function createEmbedder(
  config: EmbedderConfig,
  deps: EmbedderDependencies = {},
): Promise<Embedder> {
  if (config.model === 'hashing') return createHashingEmbedder()
  const { id, folder, dtype, sha256 } = await findEncoder(config, deps)
  const { device, maxTokens } = config
  return createOnnxEmbedder({
    folder,
    dtype,
    device,
    ...(maxTokens === undefined ? {} : { maxTokens }),
    modelId: id,
    sha256,
  })
}

/** The files of an encoder model, found or fetched, and not loaded. */
export async function findEncoder(
  config: Pick<EmbedderConfig, 'model' | 'dtype'>,
  deps: EmbedderDependencies = {},
): Promise<FoundEncoder> {
  const { resolve = resolveUserModel, onEvent, signal } = deps
  const model = await resolve(config.model, {
    ...(config.dtype === undefined ? {} : { dtype: config.dtype }),
    ...(onEvent === undefined ? {} : { onEvent }),
    ...(signal === undefined ? {} : { signal }),
  })
  const offered = dtypeAmong(model.files)
  const dtype = config.dtype ?? offered
  const weights = model.files.find(({ path }) => dtype !== undefined && path === weightsFile(dtype))
  if (dtype === undefined || weights === undefined) {
    throw new PretextError(
      `expected the embedder ${config.model} with dtype ${dtype ?? 'fp32'}, it comes in ${offered ?? 'none'}`,
      { code: 'config', hint: 'leave dtype out, or name a model that has it' },
    )
  }
  // The identity is kept in artefacts, which do not tell where on this machine a folder was.
  const id = isAbsolute(model.id) ? basename(model.id) : model.id
  return { id, folder: model.folder, dtype, sha256: weights.sha256, files: model.files }
}
