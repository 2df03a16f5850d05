// The card of a model that was tuned at an OpenAI endpoint: where it is, what it cost, and the privacy of what it was tuned on.
import { bulletList, fenced, inline } from '../report/card.ts'
import { dollarsText } from '../report/figures.ts'
import { SIMULATION_BANNER } from '../report/privacy-statement.ts'
import { VERSION } from '../version.ts'
import type { TrainingCorpus } from './corpus.ts'
import { privacySection } from './model-card.ts'
import type { OpenAiFineTuned } from './openai.ts'

export function openAiCard(facts: {
  readonly tuned: OpenAiFineTuned
  readonly corpus: TrainingCorpus
  readonly url: string
  readonly instruction: string
  readonly command: string
}): string {
  const { tuned, corpus, url } = facts
  const { estimate, trainedTokens } = tuned
  const dollars = estimate.dollars === null ? 'no price known' : dollarsText(estimate.dollars)
  const parts = [
    `# ${inline(tuned.model)}`,
    corpus.simulation ? `> **${SIMULATION_BANNER.replace('. ', '.** ')}` : '',
    '## Privacy',
    ...privacySection(corpus),
    'Only the synthetic texts and the instruction were sent to the endpoint.',
    '## How it was made',
    bulletList([
      `${estimate.model}, fine-tuned at ${url} as job ${tuned.jobId}`,
      `${estimate.examples} examples, ${estimate.epochs} epochs, ${trainedTokens ?? estimate.tokens} tokens (${dollars}, prices of ${estimate.pricesAsOf})`,
      `instruction before each text: ${facts.instruction}`,
      `pretext ${VERSION}`,
    ]),
    fenced(facts.command),
    '## Use',
    'In the config of a run (it must not write a corpus that it is tuned on again):',
    fenced(
      `llm:\n  provider: openai\n  model: ${JSON.stringify(tuned.model)}\n  baseUrl: ${JSON.stringify(url)}`,
    ),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}
