// How many tokens a text has, estimated at once and offline: for plans, and where a provider does not say.
import type { CompletionInput } from './model.ts'

type CountTokens = (text: string) => number

let counter: Promise<CountTokens> | undefined

/** Tokens of o200k_base, which is within some 15 % of other tokenizers on English text. */
export async function tokenCounter(): Promise<CountTokens> {
  // Lazy: the vocabulary takes 100 ms to load, and most commands count nothing.
  counter ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) => {
    // Text that spells a special token is text here, as it is for the models.
    const asText = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() }
    return (text: string) => countTokens(text, asText)
  })
  return counter
}

/** Tokens that a chat model adds around each message. */
const TOKENS_PER_MESSAGE = 4

export async function estimateTokens(input: CompletionInput): Promise<number> {
  const count = await tokenCounter()
  if ('prompt' in input) return count(input.prompt)
  return input.messages.reduce((sum, message) => sum + count(message.content) + TOKENS_PER_MESSAGE, 0)
}
