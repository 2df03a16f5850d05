// The operators that a config names, ready to vary.
import type { Config } from '../../config/schema.ts'
import type { LanguageModel } from '../../llm/model.ts'
import { accept } from '../accept.ts'
import type { VariationOptions } from '../vary.ts'
import { continuePrefix } from './continue-prefix.ts'
import { fewShot } from './few-shot.ts'
import { fillInBlanks } from './fill-in-blanks.ts'
import { type MaskedLanguageModel, maskFill } from './mask-fill.ts'
import type { VariationOperator } from './operator.ts'
import type { PromptedOptions } from './prompted.ts'
import { rewrite } from './rewrite.ts'
import { loadTemplate, type PromptTemplate } from './template.ts'

const PROMPTED = {
  'few-shot': fewShot,
  rewrite,
  'fill-in-blanks': fillInBlanks,
  'continue-prefix': continuePrefix,
} satisfies Record<string, (template: PromptTemplate, options: PromptedOptions) => VariationOperator>

export interface VariationDependencies {
  readonly llm: LanguageModel
  /** Folder of prompt files; the shipped ones by default. */
  readonly prompts: string | undefined
  /** Opens the masked language model of mask-fill, when that operator is used. */
  readonly maskedModel: () => Promise<MaskedLanguageModel>
}

export async function createVariation(
  config: Config['evolution']['variation'],
  deps: VariationDependencies,
): Promise<VariationOptions> {
  const { steps, attempts, maxTokens } = config
  const options: PromptedOptions = { model: deps.llm, sampling: config, maxTokens, accept: config }
  const operators = await Promise.all(
    config.operators.map(async (name) =>
      name === 'mask-fill'
        ? maskFillOperator(await deps.maskedModel(), config)
        : PROMPTED[name](await loadTemplate(name, deps.prompts), options),
    ),
  )
  return { operators, steps, attempts }
}

/** PrE-Text's own operator; `degree` is the share of masked tokens. */
function maskFillOperator(
  model: MaskedLanguageModel,
  config: Config['evolution']['variation'],
): VariationOperator {
  const { temperature, topP } = config
  return {
    name: 'mask-fill',
    async vary(places, { degree, signal, onDone }) {
      const first = places[0]
      if (first === undefined) return []
      const parents = places.map((place) => place.parent.text)
      const texts = await maskFill(
        model,
        parents,
        { share: degree, temperature, topP, steps: 1, ...(signal === undefined ? {} : { signal }) },
        first.random,
      )
      return texts.map((text, i) => {
        const accepted = accept(text, 'stop', [parents[i] as string], config)
        onDone?.()
        return 'text' in accepted ? accepted.text : null
      })
    },
  }
}
