// Counts what a language model was asked and what it cost. Cached completions are counted apart: they cost nothing now.
import type { LanguageModel } from './model.ts'

export interface Usage {
  /** Completions that were computed or paid now. */
  readonly calls: number
  /** Completions that the request cache answered. */
  readonly cachedCalls: number
  /** Tokens of `calls`. */
  readonly promptTokens: number
  readonly completionTokens: number
}

export interface MeteredModel extends LanguageModel {
  usage(): Usage
}

export function metered(model: LanguageModel): MeteredModel {
  const total = { calls: 0, cachedCalls: 0, promptTokens: 0, completionTokens: 0 }
  return {
    ...model,
    async complete(request, options) {
      const completion = await model.complete(request, options)
      if (completion.cached) total.cachedCalls++
      else {
        total.calls++
        total.promptTokens += completion.promptTokens
        total.completionTokens += completion.completionTokens
      }
      return completion
    },
    usage: () => ({ ...total }),
  }
}
