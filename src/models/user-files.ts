// Which of a model's many files pretext needs, given their names: from a Hub listing or a local folder.
import { PretextError } from '../errors.ts'

/** What transformers.js appends to `onnx/model` for each dtype. */
export const DTYPE_SUFFIX = {
  fp32: '',
  fp16: '_fp16',
  q8: '_quantized',
  int8: '_int8',
  uint8: '_uint8',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
} as const

export type Dtype = keyof typeof DTYPE_SUFFIX

const TOKENIZER = ['config.json', 'tokenizer.json', 'tokenizer_config.json']
const OPTIONAL = ['special_tokens_map.json']

/** The files of an embedder or a masked LM: tokenizer, config and one ONNX file (with its external data, if any). */
export function onnxModelFiles(names: readonly string[], dtype: Dtype | undefined, where: string): string[] {
  const present = new Set(names)
  const graphOf = (name: Dtype) => `onnx/model${DTYPE_SUFFIX[name]}.onnx`
  const dtypes = Object.keys(DTYPE_SUFFIX) as Dtype[]
  const offered = dtypes.filter((name) => present.has(graphOf(name)))
  // Without a wish: the most exact one, which the table lists first.
  const chosen = dtype === undefined ? offered[0] : offered.find((name) => name === dtype)
  const lacking = TOKENIZER.filter((name) => !present.has(name))
  if (chosen === undefined) lacking.push(dtype === undefined ? 'onnx/model.onnx' : graphOf(dtype))
  if (chosen === undefined || lacking.length > 0) {
    const offers = offered.length === 0 ? 'it has no ONNX file' : `it has the dtypes ${offered.join(', ')}`
    throw new PretextError(`${where} lacks ${lacking.join(', ')}, which an embedder needs; ${offers}`, {
      code: 'config',
      hint: 'name a repository or folder made for transformers.js (tokenizer.json and onnx/model*.onnx), or another dtype',
    })
  }
  const graph = graphOf(chosen)
  const external = names.filter((name) => name.startsWith(`${graph}_data`)).sort()
  return [graph, ...external, ...TOKENIZER, ...OPTIONAL.filter((name) => present.has(name))]
}

/** One GGUF file, or all parts of a split one (`-00001-of-00003.gguf`); the first part is the one to load. */
export function ggufFiles(names: readonly string[], file: string, where: string): string[] {
  const split = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(file)
  const wanted =
    split === null
      ? [file]
      : Array.from(
          { length: Number(split[2]) },
          (_, part) => `${split[1]}-${String(part + 1).padStart(5, '0')}-of-${split[2]}.gguf`,
        )
  const present = new Set(names)
  const lacking = wanted.filter((name) => !present.has(name))
  if (lacking.length === 0) return wanted
  const others = names.filter((name) => name.endsWith('.gguf'))
  throw new PretextError(`${where} has no ${lacking.join(', ')}`, {
    code: 'config',
    hint:
      others.length === 0 ? 'it holds no GGUF file at all' : `it holds: ${others.slice(0, 20).join(', ')}`,
  })
}
