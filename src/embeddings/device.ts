// Where a model runs, and why there. A GPU is not always faster: each pass has a fixed cost, and the texts of one client
// are a small pass (on an H100, WebGPU embedded clients of 4 texts at less than half the speed of 16 cores, and 512 texts
// in one call at twice their speed). So `auto` tries both and keeps the faster.
import { existsSync } from 'node:fs'
import { PretextError } from '../errors.ts'

export type DeviceName = 'cpu' | 'webgpu' | 'cuda'

export interface Placed<T> {
  readonly loaded: T
  readonly device: { readonly name: DeviceName; readonly why: string }
}

/** A model on a device, for comparison. */
export interface Trial<T> {
  readonly loaded: T
  /** How many runs it does beside each other in about the time of one; default 1. */
  readonly atOnce?: number
  /** Runs the model once on input of typical size. */
  run(): Promise<unknown>
  dispose(): Promise<unknown>
}

export interface Surroundings {
  readonly hasGpu?: () => boolean
  readonly now?: () => number
}

/**
 * Loads onto the wanted device; with `auto` onto the first of cuda and webgpu on which the model loads and runs, or onto
 * the cpu if that runs it faster or neither is there. A trial never sees private text, so what a driver says of it may
 * be shown.
 */
export async function placeOnDevice<T>(
  wanted: 'auto' | DeviceName,
  load: (device: DeviceName) => Promise<Trial<T>>,
  { hasGpu = gpuIsPresent, now = () => performance.now() }: Surroundings = {},
): Promise<Placed<T>> {
  if (wanted !== 'auto') {
    const { trial } = await attempt(wanted, load, now)
    return { loaded: trial.loaded, device: { name: wanted, why: 'as configured' } }
  }
  // Without a GPU none is tried: a failing WebGPU writes warnings of its own to the terminal.
  const reasons = hasGpu() ? [] : ['no GPU was found']
  for (const name of hasGpu() ? (['cuda', 'webgpu'] as const) : []) {
    let gpu: Attempt<T>
    try {
      gpu = await attempt(name, load, now)
    } catch (error) {
      reasons.push(`no ${name} (${inShort(error)})`)
      continue
    }
    const cpu = await attempt('cpu', load, now).catch(async (error: unknown) => {
      await gpu.trial.dispose()
      throw error
    })
    const [faster, slower] = gpu.ms < cpu.ms ? [gpu, cpu] : [cpu, gpu]
    await slower.trial.dispose()
    const compared = `${faster.ms.toFixed(0)} ms for a trial, ${slower.name} ${slower.ms.toFixed(0)} ms`
    const why = [compared, ...reasons].join('; ')
    return { loaded: faster.trial.loaded, device: { name: faster.name, why } }
  }
  const { trial } = await attempt('cpu', load, now)
  return { loaded: trial.loaded, device: { name: 'cpu', why: reasons.join('; ') } }
}

const TRIALS = 3

interface Attempt<T> {
  readonly name: DeviceName
  readonly trial: Trial<T>
  readonly ms: number
}

/** Loads, runs once to warm up (a GPU compiles its programs then), and takes the best of a few runs. */
async function attempt<T>(
  name: DeviceName,
  load: (device: DeviceName) => Promise<Trial<T>>,
  now: () => number,
): Promise<Attempt<T>> {
  let trial: Trial<T> | undefined
  try {
    trial = await load(name)
    await trial.run()
    let ms = Number.POSITIVE_INFINITY
    for (let i = 0; i < TRIALS; i++) {
      const start = now()
      await trial.run()
      ms = Math.min(ms, (now() - start) / (trial.atOnce ?? 1))
    }
    return { name, trial, ms }
  } catch (error) {
    await trial?.dispose()
    throw notLoaded(name, error)
  }
}

/** On Linux a GPU that can be used has a device file; elsewhere there practically always is one. */
function gpuIsPresent(): boolean {
  return (
    process.platform !== 'linux' || ['/dev/nvidiactl', '/dev/dri', '/dev/kfd', '/dev/dxg'].some(existsSync)
  )
}

const FAILED_ON = 'the model could not be loaded and run on'

function notLoaded(device: DeviceName, error: unknown): PretextError {
  if (error instanceof PretextError) return error
  return new PretextError(`${FAILED_ON} ${device}: ${inShort(error)}`, {
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
  const line = (message.split('\n')[0] as string).replace(new RegExp(`^${FAILED_ON} \\w+: `), '')
  const sentence = /(?:was false\.|failed:) (.+)$/.exec(line)?.[1] ?? line
  return sentence.length > 160 ? `${sentence.slice(0, 157)}...` : sentence
}
