// What the participant's page embeds with: the embedder of the config, found and not loaded.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { findEncoder } from '../embeddings/create.ts'
import { onnxIdentity } from '../embeddings/encode.ts'
import { createHashingEmbedder } from '../embeddings/hashing.ts'
import { type Dtype, weightsFile } from '../embeddings/model-folder.ts'
import { PretextError } from '../errors.ts'
import type { PageEmbedder } from '../federation/page/serve-page.ts'
import { namedModel } from './models.ts'

export async function pageEmbedder(loaded: LoadedConfig): Promise<PageEmbedder> {
  const { model, dtype, maxTokens } = loaded.config.embeddings
  if (model === 'hashing') return { identity: createHashingEmbedder().identity, maxTokens, files: [] }
  const found = await findEncoder({
    model: namedModel(model, loaded),
    ...(dtype === undefined ? {} : { dtype: dtype as Dtype }),
  })
  const { id: modelId, sha256, folder } = found
  const dim = await hiddenSize(folder)
  // The weights, with the data that large models keep beside them, and none of another dtype.
  const weights = weightsFile(found.dtype)
  const wanted = found.files.filter(({ path }) => path.endsWith('.json') || path.startsWith(weights))
  return {
    identity: onnxIdentity({ modelId, sha256, dtype: found.dtype, maxTokens, dim }),
    maxTokens,
    files: wanted.map(({ path, sha256, bytes, absolutePath }) => ({ path, sha256, bytes, absolutePath })),
  }
}

/** A client holds the result against the manifest, so a wrong one costs no more than a page that refuses. */
async function hiddenSize(folder: string): Promise<number> {
  const file = join(folder, 'config.json')
  const { hidden_size: size } = JSON.parse(await readFile(file, 'utf8')) as { hidden_size?: unknown }
  if (typeof size === 'number' && Number.isInteger(size) && size > 0) return size
  throw new PretextError(`${file}: expected hidden_size, an integer above 0, got none`, {
    code: 'dependency',
    hint: 'choose an encoder model in the layout of transformers.js',
  })
}
