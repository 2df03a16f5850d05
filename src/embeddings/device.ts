// Where a model runs: CUDA if ONNX Runtime has its provider, else WebGPU if it works here, else the CPU; and why.
import { existsSync } from 'node:fs'
import { PretextError } from '../errors.ts'

export type DeviceName = 'cpu' | 'webgpu' | 'cuda'

export interface Placed<T> {
  readonly loaded: T
  readonly device: { readonly name: DeviceName; readonly why: string }
}

/**
 * Loads onto the wanted device, or with `auto` onto the first of cuda, webgpu and cpu on which `load` succeeds. `load`
 * should run the model once, since a driver may accept a model that it cannot run. It never sees private text, so the
 * driver's words may be shown.
 */
export async function placeOnDevice<T>(
  wanted: 'auto' | DeviceName,
  load: (device: DeviceName) => Promise<T>,
  hasGpu: () => boolean = gpuIsPresent,
): Promise<Placed<T>> {
  if (wanted !== 'auto') {
    try {
      return { loaded: await load(wanted), device: { name: wanted, why: 'as configured' } }
    } catch (error) {
      throw notLoaded(wanted, error)
    }
  }
  const reasons: string[] = []
  // Without a GPU neither is tried: a failing WebGPU writes warnings of its own to the terminal.
  if (hasGpu()) {
    for (const name of ['cuda', 'webgpu'] as const) {
      try {
        const loaded = await load(name)
        return {
          loaded,
          device: { name, why: reasons.length === 0 ? 'its provider is there' : reasons.join('; ') },
        }
      } catch (error) {
        reasons.push(`no ${name} (${inShort(error)})`)
      }
    }
  } else {
    reasons.push('no GPU was found')
  }
  try {
    return { loaded: await load('cpu'), device: { name: 'cpu', why: reasons.join('; ') } }
  } catch (error) {
    throw notLoaded('cpu', error)
  }
}

/** On Linux a GPU that can be used has a device file; elsewhere there practically always is one. */
function gpuIsPresent(): boolean {
  return (
    process.platform !== 'linux' || ['/dev/nvidiactl', '/dev/dri', '/dev/kfd', '/dev/dxg'].some(existsSync)
  )
}

function notLoaded(device: DeviceName, error: unknown): PretextError {
  if (error instanceof PretextError) return error
  return new PretextError(`expected to load the model on ${device}, and it failed: ${inShort(error)}`, {
    code: 'dependency',
    hint:
      device === 'cpu'
        ? 'the model file may be damaged: remove it and fetch it again'
        : 'use device: auto or cpu',
    cause: error,
  })
}

/** The first sentence of a driver's message, without the C++ signature that it may begin with. */
function inShort(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const line = message.split('\n')[0] as string
  const sentence = /(?:was false\.|failed:) (.+)$/.exec(line)?.[1] ?? line
  return sentence.length > 160 ? `${sentence.slice(0, 157)}...` : sentence
}
