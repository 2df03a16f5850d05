// The parent in other words: Aug-PE's paraphrase.

import { type PromptedOptions, promptedOperator } from './prompted.ts'
import type { PromptTemplate } from './template.ts'

export function rewrite(template: PromptTemplate, options: PromptedOptions) {
  return promptedOperator('rewrite', template, options, ({ parent }) => ({
    values: { text: parent.text },
    label: parent.label,
    sources: [parent.text],
  }))
}
