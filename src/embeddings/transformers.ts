// The one door to transformers.js (https://huggingface.co/docs/transformers.js), which runs ONNX models in this process.
// It is opened with the network off and its logger silent: when a model fails, that logger prints the token ids it was
// given, and token ids of a private text are the text.
import { PretextError } from '../errors.ts'

export type Transformers = typeof import('@huggingface/transformers')

/** Loads the library on first use, since it takes a third of a second and brings native code. */
export async function loadTransformers(): Promise<Transformers> {
  let library: Transformers
  try {
    library = await import('@huggingface/transformers')
  } catch (cause) {
    throw new PretextError('expected the package @huggingface/transformers, and it could not be loaded', {
      code: 'dependency',
      hint: 'npm install @huggingface/transformers@4.3.1 (behind a proxy set ONNXRUNTIME_NODE_INSTALL=skip)',
      cause,
    })
  }
  library.env.allowRemoteModels = false
  library.env.useFSCache = false
  library.env.logLevel = library.LogLevel.NONE
  return library
}

/**
 * Runs a loaded model's session on int64 inputs of one shape. It goes to the session itself and not through the model
 * object, because that one logs its inputs on failure; and the error that leaves here says nothing of the texts, not even
 * how many they were, while the runtime's own message can quote token ids.
 */
export async function runSession(
  library: Transformers,
  model: { readonly sessions: Record<string, unknown> },
  inputs: Readonly<Record<string, BigInt64Array>>,
  shape: readonly [rows: number, tokens: number],
  output: string,
): Promise<{ readonly data: Float32Array; readonly dims: readonly number[] }> {
  const session = model.sessions.model as OnnxSession
  const feeds: Record<string, unknown> = {}
  for (const name of session.inputNames) {
    const values = inputs[name]
    if (values === undefined) {
      throw new PretextError(
        `expected a model whose inputs are among ${Object.keys(inputs).join(', ')}, got one that asks for ${name}`,
        { code: 'dependency', hint: 'choose an encoder model (BERT, RoBERTa, MPNet and their kin)' },
      )
    }
    feeds[name] = new library.Tensor('int64', values, [...shape]).ort_tensor
  }
  let outputs: Record<string, { readonly data: unknown; readonly dims: readonly number[] }>
  try {
    outputs = await session.run(feeds)
  } catch {
    throw new PretextError(
      'the model failed while it ran; its own message is withheld because it can quote the tokens of a text',
      {
        code: 'unexpected',
        hint: 'check that tokenizer.json belongs to the model and that there is memory; device: cpu rules out the GPU driver',
      },
    )
  }
  const result = outputs[output]
  if (result === undefined || !(result.data instanceof Float32Array)) {
    throw new PretextError(
      `expected a model with the 32-bit float output ${output}, got the outputs ${session.outputNames.join(', ')}`,
      {
        code: 'dependency',
        hint: 'export the model to ONNX for the task at hand, with fp32 inputs and outputs',
      },
    )
  }
  return { data: result.data, dims: result.dims }
}

interface OnnxSession {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  run(feeds: Record<string, unknown>): Promise<Record<string, { data: unknown; dims: readonly number[] }>>
}
