// ONNX Runtime itself, for graphs that are made here (search among candidates); models come through transformers.js, which
// brings the same version of it.
import { PretextError } from '../errors.ts'

export type OnnxRuntime = typeof import('onnxruntime-node')

/** Loads the library on first use: it brings native code. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  try {
    // A CommonJS package, whose names Node does not all see.
    const library = await import('onnxruntime-node')
    return (library as unknown as { readonly default?: OnnxRuntime }).default ?? library
  } catch (cause) {
    throw new PretextError('expected the package onnxruntime-node, and it could not be loaded', {
      code: 'dependency',
      hint: 'npm install onnxruntime-node@1.30.0 (behind a proxy set ONNXRUNTIME_NODE_INSTALL=skip)',
      cause,
    })
  }
}
