// The positive control of a corpus audit: a language model that copies texts which it must not know. An attack that does not
// see this leak would not see another one either.
import type { CompletionRequest, LanguageModel } from '../llm/model.ts'
import { type Random, seededRandom } from '../random.ts'
import type { Models, openModels } from '../run/models.ts'

/** So many of its completions are copies: a corpus of a few dozen texts then holds nearly every member. */
const COPIED = 0.5

export function leaking(open: typeof openModels, members: readonly string[]): typeof openModels {
  return async (...args): Promise<Models> => {
    const models = await open(...args)
    return { ...models, llm: leakingModel(models.llm, members) }
  }
}

function leakingModel(model: LanguageModel, members: readonly string[]): LanguageModel {
  return {
    id: `${model.id}:leaking`,
    input: model.input,
    concurrency: model.concurrency,
    async complete(request, options) {
      const random: Random = seededRandom(request.seed, 'leak')
      if (random.next() >= COPIED) return model.complete(request, options)
      return { ...copy(random.pick(members), request), cached: false }
    },
    dispose: () => model.dispose(),
  }
}

function copy(text: string, request: CompletionRequest) {
  return { text, finish: 'stop' as const, promptTokens: 0, completionTokens: request.maxTokens }
}
