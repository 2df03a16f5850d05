// The beginning of the parent, continued by the model. `degree` is the share of the text that is cut off its end.

import { type PromptedOptions, promptedOperator } from './prompted.ts'
import type { PromptTemplate } from './template.ts'

export function continuePrefix(template: PromptTemplate, options: PromptedOptions) {
  return promptedOperator('continue-prefix', template, options, ({ parent, companions }, degree) => {
    const words = parent.text.split(/\s+/)
    const kept = Math.max(1, Math.round(words.length * (1 - degree)))
    const prefix = words.slice(0, kept).join(' ')
    return {
      examples: companions.slice(0, 2).map((candidate) => candidate.text),
      values: { prefix },
      label: parent.label,
      sources: [parent.text, prefix],
      before: prefix,
    }
  })
}
