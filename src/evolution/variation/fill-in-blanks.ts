// The parent with words blanked out, for the model to fill: Aug-PE's fill-in-the-blanks. `degree` is the share of blanks.

import { type PromptedOptions, promptedOperator } from './prompted.ts'
import type { PromptTemplate } from './template.ts'

export function fillInBlanks(template: PromptTemplate, options: PromptedOptions) {
  return promptedOperator('fill-in-blanks', template, options, ({ parent, random }, degree) => {
    const words = parent.text.split(/\s+/)
    const blanked = words.map((word) => (random.next() < degree ? '_' : word)).join(' ')
    return { values: { text: blanked }, label: parent.label, sources: [parent.text, blanked] }
  })
}
