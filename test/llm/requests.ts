// Requests as the rounds make them.
import type { CompletionRequest } from '../../src/llm/model.ts'

export const EXAMPLES = [
  'This library draws charts from a table of numbers, with sensible defaults and little code.',
  'A small tool that converts documents between formats, quickly and without any fuss.',
  'The package keeps passwords in an encrypted file and copies them to the clipboard.',
]

export function fewShotPrompt(examples: readonly string[] = EXAMPLES): string {
  const samples = examples.map((text, i) => `Original Text Sample ${i + 1}\n${text}\n`).join('')
  return `List of diverse original text samples:\n${samples}Original Text Sample ${examples.length + 1}\n`
}

export function request(changes: Partial<CompletionRequest> = {}): CompletionRequest {
  return {
    input: { prompt: fewShotPrompt() },
    sampling: { temperature: 1, topP: 0.95 },
    maxTokens: 24,
    stop: ['\n', 'Original Text Sample'],
    seed: 1,
    ...changes,
  }
}
