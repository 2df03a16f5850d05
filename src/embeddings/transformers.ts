// The one door to transformers.js (https://huggingface.co/docs/transformers.js), which runs ONNX models in this process.
// It is opened with the network off and its logger silent: when a model fails, that logger prints the token ids it was
// given, and token ids of a private text are the text. So models are run by run-session.ts and not through their objects.
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
