// A new text like the parent and two other survivors: the prompt of PrE-Text's expansion, used as a variation.

import { type PromptedOptions, promptedOperator } from './prompted.ts'
import type { PromptTemplate } from './template.ts'

/** Examples in the prompt; the parent is one of them. */
const EXAMPLES = 3

export function fewShot(template: PromptTemplate, options: PromptedOptions) {
  return promptedOperator('few-shot', template, options, ({ parent, companions, random }) => {
    const texts = [parent, ...companions.slice(0, EXAMPLES - 1)].map((candidate) => candidate.text)
    // In random order: the last example weighs most, and it should not always be the parent.
    return { examples: random.sample(texts, texts.length), label: parent.label, sources: texts }
  })
}
