// From a request to the tokens of llama.cpp. What a prompt says is text even where it spells a special token: only the
// model's own chat template may put those in.
import type { ChatHistoryItem, ChatWrapper, LlamaModel, Token } from 'node-llama-cpp'
import type { ChatMessage, CompletionRequest } from './model.ts'

export function promptTokens(
  { LlamaText }: Pick<typeof import('node-llama-cpp'), 'LlamaText'>,
  model: LlamaModel,
  chat: ChatWrapper,
  { input, stop }: CompletionRequest,
): { readonly tokens: readonly Token[]; readonly stop: readonly string[] } {
  if ('prompt' in input) {
    const { bos, eos, shouldPrependBosToken } = model.tokens
    const text = model.tokenize(input.prompt, false)
    const begins = shouldPrependBosToken && bos !== null ? [bos] : []
    const tokens = [...begins, ...text]
    // Nothing at all cannot be continued: an empty prompt begins a new text.
    const start = bos ?? eos
    return { tokens: tokens.length === 0 && start !== null ? [start] : tokens, stop }
  }
  const { contextText, stopGenerationTriggers } = chat.generateContextState({
    chatHistory: history(input.messages),
  })
  const written = stopGenerationTriggers
    .map((trigger) => LlamaText(trigger).values)
    .filter((values): values is string[] => values.every((value) => typeof value === 'string'))
    .map((values) => values.join(''))
  return { tokens: contextText.tokenize(model.tokenizer), stop: [...stop, ...written] }
}

/** The answer is the last item: empty, or begun by a last message of the assistant. */
function history(messages: readonly ChatMessage[]): ChatHistoryItem[] {
  const items = messages.map(({ role, content }): ChatHistoryItem => {
    if (role === 'assistant') return { type: 'model', response: [content] }
    return { type: role, text: content }
  })
  return items.at(-1)?.type === 'model' ? items : [...items, { type: 'model', response: [] }]
}
