// A thread with an encoder of its own (onnx.ts): loads it when asked, and embeds.
import { answerQuestions } from '../thread.ts'
import { encodeTexts, type LoadedEncoder } from './encode.ts'
import { type EncoderOptions, loadEncoder } from './load-encoder.ts'
import type { Matrix } from './matrix.ts'

export type EncoderQuestion =
  | { readonly type: 'load'; readonly options: EncoderOptions }
  | { readonly type: 'embed'; readonly texts: readonly string[] }

let encoder: LoadedEncoder | undefined

async function answer(question: EncoderQuestion): Promise<number | Matrix> {
  if (question.type === 'load') {
    encoder = await loadEncoder(question.options)
    return encoder.dim
  }
  if (encoder === undefined) throw new RangeError('expected an encoder that was loaded')
  return encodeTexts(question.texts, encoder)
}

answerQuestions(answer)
