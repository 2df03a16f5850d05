// The embedded language model: a GGUF file run by llama.cpp inside this process (node-llama-cpp, an optional dependency).
// Several sequences are evaluated together; a request takes the sequence that already holds most of its prompt.
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import type { LlamaContext, LlamaModel, Token } from 'node-llama-cpp'
import { PretextError } from '../errors.ts'
import { ignoreEvents, type OnEvent } from '../events.ts'
import { promptTokens } from './llama-prompt.ts'
import { promptsFirst, type Sequence, sequencePool } from './llama-sequences.ts'
import { shareThreads } from './llama-threads.ts'
import type { Completion, CompletionRequest, LanguageModel, Sampling } from './model.ts'
import { checkRequest } from './request.ts'
import { growingText } from './stop.ts'

export interface LlamaOptions {
  readonly modelPath: string
  /** Of the file: part of the model's id. The model store has verified it. */
  readonly sha256: string
  /** Requests evaluated together; default 16. Each has a context of its own in memory. */
  readonly sequences?: number
  /** Prompt and completion of one request together; default 1024. */
  readonly contextTokens?: number
  /** In all; default: the cores. See `shareThreads`. */
  readonly threads?: number
  readonly gpu?: 'auto' | false
  readonly onEvent?: OnEvent
}

type NodeLlamaCpp = typeof import('node-llama-cpp')

export async function createLlamaModel(options: LlamaOptions): Promise<LanguageModel> {
  const { modelPath, sha256, sequences = 16, contextTokens = 1024, gpu = 'auto' } = options
  const onEvent = options.onEvent ?? ignoreEvents
  await checkGguf(modelPath)
  const library = await loadLibrary()
  const llama = await library.getLlama({
    gpu,
    // Never fetch or compile anything during a run; never print.
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: library.LlamaLogLevel.error,
    logger: (_level, message) => onEvent({ type: 'warning', message: `llama.cpp: ${message.trim()}` }),
    // 0: contexts have the threads that they are made with. (Otherwise four at least are shared out, even on two cores.)
    maxThreads: 0,
  })
  let model: LlamaModel
  const contexts: LlamaContext[] = []
  try {
    model = await llama.loadModel({ modelPath })
    const shares = llama.gpu === false ? shareThreads(sequences, options.threads) : [{ sequences }]
    for (const share of shares) {
      const context = await model.createContext({
        ...share,
        contextSize: contextTokens,
        batching: { itemPrioritizationStrategy: promptsFirst },
        // Also on a CPU: 16 texts at once are written 1.2 times as fast.
        flashAttention: 'auto',
      })
      contexts.push(context)
    }
  } catch (error) {
    await llama.dispose()
    throw notLoaded(modelPath, (error as Error).message, error)
  }
  const pool = sequencePool(contexts)
  const chat = library.resolveChatWrapper(model, { warningLogs: false })

  async function complete(
    request: CompletionRequest,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Completion> {
    checkRequest(request)
    if (model.disposed) throw new Error('the language model was disposed')
    const { tokens, stop } = promptTokens(library, model, chat, request)
    if (tokens.length >= contextTokens) throw tooLong(tokens.length, contextTokens)
    return pool.use(tokens, signal, (sequence) =>
      generate(sequence, tokens, { ...request, stop }, contextTokens, signal),
    )
  }

  return {
    id: `llama:${basename(modelPath)}@sha256:${sha256.slice(0, 16)}`,
    // An instruct model continues raw text as well as it answers.
    input: model.fileInfo.metadata.tokenizer?.chat_template === undefined ? 'completion' : 'both',
    // As many again wait inside, so that a free sequence can be given the prompt that it holds most of.
    concurrency: sequences * 2,
    complete,
    async dispose() {
      await pool.close()
      for (const context of contexts) await context.dispose()
      await model.dispose()
      await llama.dispose()
    },
  }
}

async function generate(
  sequence: Sequence,
  prompt: readonly Token[],
  request: CompletionRequest,
  contextTokens: number,
  signal: AbortSignal | undefined,
): Promise<Completion> {
  const { model } = sequence
  const text = growingText(request.stop)
  const most = Math.min(request.maxTokens, contextTokens - prompt.length)
  const counts = { promptTokens: prompt.length, cached: false }
  const tokens = prompt.slice(-DETOKENISER_CONTEXT)
  let shown = tokens.length
  let generated = 0
  const last = await sequence.begin(prompt)
  // Ends by itself at the end of the text (EOS, EOT).
  for await (const token of sequence.evaluate(last, samplerOptions(request.sampling, request.seed))) {
    signal?.throwIfAborted()
    // A control token begins something that is not this text, such as the next turn of a conversation.
    if (model.isSpecialToken(token)) break
    tokens.push(token)
    const full = ++generated === most
    const before = tokens.slice(Math.max(0, shown - DETOKENISER_CONTEXT), shown)
    const piece = model.detokenize(tokens.slice(shown), false, before)
    // Bytes that are not yet a whole character wait for the next tokens.
    if (full || !piece.endsWith('\ufffd') || tokens.length - shown === LONGEST_CHARACTER) {
      shown = tokens.length
      if (text.add(piece)) break
    }
    if (full) return { text: text.text, finish: 'length', completionTokens: generated, ...counts }
  }
  return { text: text.text, finish: 'stop', completionTokens: generated, ...counts }
}

/** Whether a piece begins with a space can depend on what came before it. */
const DETOKENISER_CONTEXT = 4
/** In tokens of a byte each. */
const LONGEST_CHARACTER = 4

/** Of a vocabulary of tens of thousands, those that can matter after a cut-off by cumulative probability. */
const CANDIDATES = 4096

/**
 * node-llama-cpp's own defaults are topK 40 and topP 0.95, and a topK of 0 sorts the whole vocabulary for every token
 * (three times slower than all else together); only null leaves the step out. topP sorts too: cutting at the 4096 best
 * first, which hold all but some thousandth of the probability, makes that cheap.
 */
function samplerOptions({ temperature, topP, minP = 0, topK = 0 }: Sampling, seed: number) {
  const bestFirst = topK > 0 ? topK : topP < 1 ? CANDIDATES : null
  return {
    temperature,
    minP,
    topK: bestFirst,
    topP: topP < 1 ? topP : null,
    // llama.cpp takes 32 bits, of which all ones mean "draw one yourself".
    seed: seed % 0xffff_ffff,
  } as { temperature: number; minP: number; topK: number; topP: number; seed: number }
}

function tooLong(tokens: number, contextTokens: number): PretextError {
  return new PretextError(
    `expected a prompt of fewer than ${contextTokens} tokens (llm.contextTokens), got one of ${tokens}`,
    { code: 'config', hint: 'raise llm.contextTokens, or put fewer or shorter examples into the prompt' },
  )
}

/** The library prints about a file that is none; a damaged one it reports. */
async function checkGguf(path: string): Promise<void> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw notLoaded(path, error.code ?? error.message, error)
  })
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0)
    if (bytesRead === 8 && buffer.toString('latin1', 0, 4) === 'GGUF' && buffer.readUInt32LE(4) <= 3) return
    throw notLoaded(path, 'it does not begin like a GGUF file of version 1 to 3')
  } finally {
    await handle.close()
  }
}

function notLoaded(path: string, reason: string, cause?: unknown): PretextError {
  return new PretextError(`could not load the language model ${basename(path)}: ${reason}`, {
    code: 'dependency',
    hint: 'it must be a GGUF file that llama.cpp can run; if memory is short, lower llm.concurrency or llm.contextTokens',
    cause,
  })
}

async function loadLibrary(): Promise<NodeLlamaCpp> {
  try {
    return await import('node-llama-cpp')
  } catch (error) {
    throw new PretextError(
      'the embedded language model needs the package node-llama-cpp, which is not installed',
      {
        code: 'dependency',
        hint: 'npm install node-llama-cpp@3, or use another llm.provider',
        cause: error,
      },
    )
  }
}
