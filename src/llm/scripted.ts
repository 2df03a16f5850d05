// A language model without a model: answers come from a function, or from the small grammar of `scripted-grammar.ts`. For
// tests, dry runs and `provider: scripted`; the same request always gets the same answer. A token is a word.
import type { Completion, CompletionRequest, LanguageModel } from './model.ts'
import { asPrompt, checkRequest } from './request.ts'
import { recombine } from './scripted-grammar.ts'
import { cutAtStop } from './stop.ts'

export interface ScriptedOptions {
  /** Part of the id: two scripts are two models. */
  readonly name?: string
  /** Default: a new text out of the words of the prompt's examples. */
  readonly answer?: (request: CompletionRequest) => string | Promise<string>
  readonly input?: 'completion' | 'chat'
  readonly concurrency?: number
}

export function createScriptedModel(options: ScriptedOptions = {}): LanguageModel {
  const { name = 'recombine', answer = recombine, input = 'completion', concurrency = 8 } = options
  let disposed = false
  return {
    id: `scripted:${name}`,
    input,
    concurrency,
    async complete(request, { signal } = {}): Promise<Completion> {
      checkRequest(request)
      signal?.throwIfAborted()
      if (disposed) throw new Error('the language model was disposed')
      const words = tokensOf(await answer(request))
      const written = words.slice(0, request.maxTokens).join('')
      const { text, stopped } = cutAtStop(written, request.stop)
      return {
        text,
        finish: !stopped && words.length > request.maxTokens ? 'length' : 'stop',
        promptTokens: tokensOf(asPrompt(request.input)).length,
        completionTokens: Math.min(words.length, request.maxTokens),
        cached: false,
      }
    },
    async dispose() {
      disposed = true
    },
  }
}

/** Words with the space before them; together they are the text again. */
function tokensOf(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? []
}
