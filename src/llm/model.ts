// The one interface of every language model. A LanguageModel sees prompts made of public and synthetic text only;
// PrivateTexts has no way to become a prompt (design rule 4.1).

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/** Text to be continued (`prompt`), or a conversation to be answered (`messages`). */
export type CompletionInput = { readonly prompt: string } | { readonly messages: readonly ChatMessage[] }

export interface Sampling {
  /** >= 0; 0 is greedy. */
  readonly temperature: number
  /** (0, 1]; 1 keeps every token. */
  readonly topP: number
  /** [0, 1); 0 keeps every token. Cut-offs feed back through the rounds: keep it <= 0.01. */
  readonly minP?: number
  /** 0 or absent keeps every token. */
  readonly topK?: number
}

export interface CompletionRequest {
  readonly input: CompletionInput
  readonly sampling: Sampling
  readonly maxTokens: number
  /** Generation ends before the first of these; it is not part of the text. */
  readonly stop: readonly string[]
  /**
   * Reproduces the draw where the model can (an embedded model: where requests are asked one at a time);
   * always part of the cache key.
   */
  readonly seed: number
}

export interface Completion {
  readonly text: string
  readonly finish: 'stop' | 'length' | 'filtered'
  readonly promptTokens: number
  readonly completionTokens: number
  /** True if it came from the request cache and cost nothing now. */
  readonly cached: boolean
}

export interface LanguageModel {
  /** Names provider, model and version (sha256 of a local file): part of every cache key. */
  readonly id: string
  /** What input it takes; a `prompt` is wrapped as one user message for a chat model. */
  readonly input: 'completion' | 'chat' | 'both'
  /** How many requests it works on at once. */
  readonly concurrency: number
  /**
   * The signal ends waiting (queues, retries, rate limits); a request that was already sent to a paid service is
   * finished, so that what was paid is kept. Throws PretextError `provider` after the last retry.
   */
  complete(request: CompletionRequest, options?: { readonly signal?: AbortSignal }): Promise<Completion>
  dispose(): Promise<void>
}
