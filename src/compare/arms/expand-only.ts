// Expand-only: the language model expands the initial population of a run, and nobody votes. No private text is used; what
// PrE-Text gains over it is what the votes are worth.
import { defineArm } from '../arm.ts'
import { trainOnExpansion } from '../train-on-expansion.ts'
import { CORPUS_SETTINGS, TRAINING_GRID } from '../training.ts'

export const expandOnly = defineArm({
  name: 'expand-only',
  about:
    'the initial population of a run, expanded by its language model without a vote: no private text is used',
  guarantee: 'public',
  epsilons: 'once',
  onCorpora: true,
  settings: CORPUS_SETTINGS,
  grid: TRAINING_GRID,
  run: (task, settings) => trainOnExpansion(task, settings),
})
