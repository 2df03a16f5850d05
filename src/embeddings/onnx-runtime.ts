// ONNX Runtime itself, for graphs that are made here (search among candidates); models come through transformers.js, which
// brings the same version of it. Since 1.29 its Linux library reports to its maker by default (names and hashes of models, shapes
// of the work, an id of the device, which it keeps in the user's cache folder). Nothing here may: it is told not to before it
// is loaded. transformers.js does so by itself.
import { isMainThread } from 'node:worker_threads'
import { PretextError } from '../errors.ts'

export type OnnxRuntime = typeof import('onnxruntime-node')

const TELEMETRY_OFF = 'ORT_DISABLE_TELEMETRY'

/** Throws PretextError `dependency` in a worker thread whose process did not set the variable: there it can only be read. */
export function forbidTelemetry(): void {
  if (isMainThread) process.env[TELEMETRY_OFF] = '1'
  else if (process.env[TELEMETRY_OFF] === undefined) {
    throw new PretextError(
      `expected ${TELEMETRY_OFF}=1 in a process whose worker threads load ONNX Runtime, it is not set`,
      {
        code: 'dependency',
        hint: 'set it before the threads start: ONNX Runtime would report to its maker otherwise',
      },
    )
  }
}

/** Loads the library on first use: it brings native code. */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  forbidTelemetry()
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
