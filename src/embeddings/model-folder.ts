// A model folder as transformers.js lays it out: config.json, tokenizer.json, tokenizer_config.json, and the weights as
// onnx/model<suffix>.onnx, where the suffix says the dtype.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PretextError } from '../errors.ts'
import { DTYPE_SUFFIX, type Dtype } from '../models/user-files.ts'

export type { Dtype }

/** Path of the weights inside a model folder. */
export function weightsFile(dtype: Dtype): string {
  return `onnx/model${DTYPE_SUFFIX[dtype]}.onnx`
}

/** The most exact dtype among the files of a model. */
export function dtypeAmong(files: readonly { readonly path: string }[]): Dtype | undefined {
  const paths = new Set(files.map(({ path }) => path))
  return (Object.keys(DTYPE_SUFFIX) as Dtype[]).find((dtype) => paths.has(weightsFile(dtype)))
}

/** Throws PretextError `dependency` naming the first file that is missing. */
export function checkModelFolder(folder: string, dtype: Dtype): void {
  const path = resolve(folder)
  for (const file of ['config.json', 'tokenizer.json', 'tokenizer_config.json', weightsFile(dtype)]) {
    if (existsSync(join(path, file))) continue
    throw new PretextError(`expected the file ${file} in the model folder ${path}, found none`, {
      code: 'dependency',
      hint: 'place the file there, or choose another dtype or model (a folder in the layout of transformers.js)',
    })
  }
}
