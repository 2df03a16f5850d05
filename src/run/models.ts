// The models of a run, found by the model store and opened: the embedder, the LLM behind its cache and meter, and the
// masked language model where mask-fill is used.
import type { LoadedConfig } from '../config/load.ts'
import { createEmbedder } from '../embeddings/create.ts'
import type { Embedder } from '../embeddings/embedder.ts'
import { type Dtype, dtypeAmong } from '../embeddings/model-folder.ts'
import type { OnEvent } from '../events.ts'
import { ignoreEvents } from '../events.ts'
import { loadMaskedLm } from '../evolution/variation/load-masked-lm.ts'
import type { MaskedLanguageModel } from '../evolution/variation/mask-fill.ts'
import { createLanguageModel, type OpenedLanguageModel } from '../llm/create.ts'
import type { LanguageModel } from '../llm/model.ts'
import { resolveUserModel } from '../models/user-models.ts'

export interface Models {
  readonly embedder: Embedder
  readonly llm: LanguageModel
  readonly usage: OpenedLanguageModel['usage']
  readonly maskedModel: () => Promise<MaskedLanguageModel>
  dispose(): Promise<void>
}

/** The embedder of a config alone, for those who need no language model. */
export async function openEmbedder(
  loaded: LoadedConfig,
  options: { readonly onEvent?: OnEvent; readonly signal?: AbortSignal },
): Promise<Embedder> {
  const onEvent = options.onEvent ?? ignoreEvents
  const { embeddings } = loaded.config
  const dtype = embeddings.dtype as Dtype | undefined
  const embedder = await createEmbedder(
    {
      model: namedModel(embeddings.model, loaded),
      device: embeddings.device,
      maxTokens: embeddings.maxTokens,
      ...(dtype === undefined ? {} : { dtype }),
    },
    { onEvent, ...(options.signal === undefined ? {} : { signal: options.signal }) },
  )
  onEvent({
    type: 'note',
    message: `embedder ${embedder.identity.model} on ${embedder.device.name}: ${embedder.device.why}`,
  })
  return embedder
}

/** A path in a config is relative to the config; a built-in name or a Hub id is not a path. */
export function namedModel(model: string, { path }: LoadedConfig): string {
  return /^\.{1,2}[/\\]/.test(model) ? path(model) : model
}

export async function openModels(
  loaded: LoadedConfig,
  cacheFile: string,
  options: { readonly onEvent?: OnEvent; readonly signal?: AbortSignal },
): Promise<Models> {
  const { config } = loaded
  const onEvent = options.onEvent ?? ignoreEvents
  const store = { onEvent, ...(options.signal === undefined ? {} : { signal: options.signal }) }
  const { embeddings, llm } = config
  const embedder = await openEmbedder(loaded, options)
  try {
    const opened = await createLanguageModel(
      { ...llm, model: namedModel(llm.model, loaded) },
      {
        cacheFile,
        onEvent,
        resolveModel: async (model) => {
          const found = await resolveUserModel(model, { ...store, kind: 'llm' })
          const file = found.files[0]
          if (file === undefined) throw new RangeError('expected a model of at least one file')
          return { path: file.absolutePath, sha256: file.sha256 }
        },
      },
    )
    const masked: LoadedMasked[] = []
    return {
      embedder,
      llm: opened.model,
      usage: opened.usage,
      async maskedModel() {
        const reference = namedModel(config.evolution.variation.maskedModel, loaded)
        const found = await resolveUserModel(reference, { ...store, kind: 'masked-lm' })
        const model = await loadMaskedLm({
          folder: found.folder,
          dtype: dtypeAmong(found.files) ?? 'fp32',
          device: embeddings.device,
          id: found.id,
        })
        masked.push(model)
        return model
      },
      async dispose() {
        for (const model of masked) await model.dispose()
        await opened.model.dispose()
        await embedder.dispose()
      },
    }
  } catch (error) {
    await embedder.dispose()
    throw error
  }
}

type LoadedMasked = Awaited<ReturnType<typeof loadMaskedLm>>
