// What all operators that ask an LLM share: render, complete, accept. An operator says only what goes into its prompt.
import { completeAll } from '../../llm/complete-all.ts'
import type { LanguageModel, Sampling } from '../../llm/model.ts'
import { type AcceptOptions, accept } from '../accept.ts'
import type { Place, VariationOperator, VaryOptions } from './operator.ts'
import { type PromptTemplate, type PromptValues, renderPrompt } from './template.ts'

export interface PromptedOptions {
  readonly model: LanguageModel
  readonly sampling: Sampling
  readonly maxTokens: number
  readonly accept: AcceptOptions
}

/** What one place puts into the prompt, and how the answer becomes the variation. */
export interface Prompted extends PromptValues {
  /** Texts that the answer must not merely repeat. */
  readonly sources: readonly string[]
  /** Written before the answer (the prefix that the model continued). */
  readonly before?: string
}

export function promptedOperator(
  name: string,
  template: PromptTemplate,
  options: PromptedOptions,
  prompted: (place: Place, degree: number) => Prompted,
): VariationOperator {
  const { model, sampling, maxTokens } = options
  return {
    name,
    async vary(places: readonly Place[], { degree, signal, onDone }: VaryOptions) {
      const prompts = places.map((place) => prompted(place, degree))
      const requests = prompts.map((prompt, i) => ({
        ...renderPrompt(template, model.input, prompt),
        sampling,
        maxTokens,
        seed: (places[i] as Place).random.integer(2 ** 31),
      }))
      const variations: (string | null)[] = []
      for await (const completion of completeAll(model, requests, signal === undefined ? {} : { signal })) {
        const { sources, before } = prompts[variations.length] as Prompted
        const raw = before === undefined ? completion.text : `${before} ${completion.text}`
        const accepted = accept(raw, completion.finish, sources, options.accept)
        variations.push('text' in accepted ? accepted.text : null)
        onDone?.()
      }
      return variations
    },
  }
}
