// A process that fine-tunes against the server named on its command line, to be killed in the middle.
import { openAiFineTune } from '../../src/finetune/openai.ts'
import { rows } from './openai-corpus.ts'

const [, , baseUrl = '', folder = ''] = process.argv
const tuned = await openAiFineTune({
  rows: rows(12),
  folder,
  model: 'gpt-4o-mini-2024-07-18',
  instruction: 'Write a short text.',
  simulation: false,
  confirm: async () => true,
  baseUrl,
  pollSeconds: 0.05,
})
process.stdout.write(tuned.model)
