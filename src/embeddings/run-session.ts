// One pass of an encoder in ONNX Runtime, in Node and in a browser: padded token ids in, one matrix or more out.
import { PretextError } from '../errors.ts'
import { padded } from './tokens.ts'

/** A session of ONNX Runtime with the tensors of its own library. */
export interface Session {
  readonly inputNames: readonly string[]
  readonly outputNames: readonly string[]
  run(
    feeds: Record<string, unknown>,
    fetches: readonly string[],
  ): Promise<Record<string, { readonly data: unknown; readonly dims: readonly number[] }>>
  tensor(values: BigInt64Array, shape: readonly number[]): unknown
}

/** A session of a model that transformers.js has loaded. */
export function sessionOf(
  library: typeof import('@huggingface/transformers'),
  model: { readonly sessions: Record<string, unknown> },
): Session {
  const session = model.sessions.model as Omit<Session, 'tensor'>
  return {
    inputNames: session.inputNames,
    outputNames: session.outputNames,
    run: (feeds, fetches) => session.run(feeds, fetches),
    tensor: (values, shape) => new library.Tensor('int64', values, [...shape]).ort_tensor,
  }
}

/**
 * Runs a session on sequences of token ids and gives one of its outputs, in 32-bit floats. The error that leaves here says
 * nothing of the texts, not even how many they were, while the runtime's own message can quote token ids.
 */
export async function runSession(
  session: Session,
  sequences: readonly (readonly number[])[],
  output: string,
): Promise<{ readonly data: Float32Array; readonly dims: readonly number[] }> {
  const { inputs, shape } = padded(sequences)
  const feeds: Record<string, unknown> = {}
  for (const name of session.inputNames) {
    const values = (inputs as Readonly<Record<string, BigInt64Array>>)[name]
    if (values === undefined) {
      throw new PretextError(
        `expected a model whose inputs are among ${Object.keys(inputs).join(', ')}, got one that asks for ${name}`,
        { code: 'dependency', hint: 'choose an encoder model (BERT, RoBERTa, MPNet and their kin)' },
      )
    }
    feeds[name] = session.tensor(values, shape)
  }
  let outputs: Awaited<ReturnType<Session['run']>>
  try {
    outputs = session.outputNames.includes(output) ? await session.run(feeds, [output]) : {}
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
