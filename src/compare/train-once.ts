// A training that can be killed anywhere and asked for again: begun, gone on with, or found finished.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { readIfThere } from '../durable.ts'
import { type TrainOptions, trainModel } from '../finetune/train.ts'
import type { TrainResult } from '../finetune/train-job.ts'

export interface TrainedOnce {
  /** Folder of the model itself. */
  readonly model: string
  readonly parameters: number
  readonly stages: TrainResult['stages']
}

export async function trainOnce(options: Omit<TrainOptions, 'resume'>): Promise<TrainedOnce> {
  const begun = await isThere(join(options.out, 'checkpoints'))
  const model = join(options.out, 'model')
  if (!begun) {
    const said = await readIfThere(join(options.out, 'training.json'))
    if (said !== undefined) {
      const { result } = JSON.parse(said) as { result: TrainResult }
      return { model, parameters: result.parameters, stages: result.stages }
    }
  }
  const { result } = await trainModel({ ...options, resume: begun })
  return { model, parameters: result.parameters, stages: result.stages }
}

export function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
