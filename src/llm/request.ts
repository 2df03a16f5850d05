// What the language models share about requests: their check, their two forms of input, and their cache key.
import { createHash } from 'node:crypto'
import type { ChatMessage, CompletionInput, CompletionRequest } from './model.ts'

/** Throws RangeError on a request that no model could answer: the caller's mistake, found before anything is paid. */
export function checkRequest({ sampling, maxTokens, seed }: CompletionRequest): void {
  const { temperature, topP, minP = 0, topK = 0 } = sampling
  const expect = (holds: boolean, name: string, wanted: string, got: number) => {
    if (!holds) throw new RangeError(`expected ${name} to be ${wanted}, got ${got}`)
  }
  expect(temperature >= 0 && temperature < Infinity, 'temperature', 'a number of at least 0', temperature)
  expect(topP > 0 && topP <= 1, 'topP', 'above 0 and at most 1', topP)
  expect(minP >= 0 && minP < 1, 'minP', 'at least 0 and below 1', minP)
  expect(Number.isInteger(topK) && topK >= 0, 'topK', 'an integer of at least 0', topK)
  expect(Number.isInteger(maxTokens) && maxTokens >= 1, 'maxTokens', 'an integer of at least 1', maxTokens)
  expect(Number.isSafeInteger(seed) && seed >= 0, 'seed', 'an integer of at least 0', seed)
}

/** A raw prompt becomes one user message. */
export function asMessages(input: CompletionInput): readonly ChatMessage[] {
  return 'messages' in input ? input.messages : [{ role: 'user', content: input.prompt }]
}

/** A conversation becomes its contents, one paragraph each, without names of roles: a base model continues the last. */
export function asPrompt(input: CompletionInput): string {
  return 'prompt' in input ? input.prompt : input.messages.map((message) => message.content).join('\n\n')
}

/** sha256 over the model and everything of the request that changes the answer; absent and default are the same. */
export function requestKey(modelId: string, request: CompletionRequest): string {
  const { input, sampling, maxTokens, stop, seed } = request
  const { temperature, topP, minP = 0, topK = 0 } = sampling
  const asked =
    'prompt' in input ? input.prompt : input.messages.map(({ role, content }) => [role, content] as const)
  const canonical = [modelId, asked, [temperature, topP, minP, topK], maxTokens, stop, seed]
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex')
}
