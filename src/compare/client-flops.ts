// Floating-point operations of a client of PrE-Text in one round, counted from the dimensions of its embedder: two for each
// multiply-add of the linear layers and of attention, which is how torch.utils.flop_counter counts the trained arms. Norms,
// activations and pooling are left out there and here.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { LoadedConfig } from '../config/load.ts'
import { findEncoder } from '../embeddings/create.ts'
import { namedModel } from '../run/models.ts'

export interface EncoderShape {
  readonly layers: number
  readonly width: number
  readonly feedForward: number
}

/** Of one sequence of `tokens`. */
export function encoderFlops({ layers, width, feedForward }: EncoderShape, tokens: number): number {
  const projections = 4 * width * width
  const forward = 2 * width * feedForward
  const attention = 2 * tokens * width
  return 2 * tokens * layers * (projections + forward + attention)
}

/** Inner products of one text with every candidate. */
export function neighbourFlops(candidates: number, dim: number): number {
  return 2 * candidates * dim
}

/** Of the embedder of a config; undefined for the hashing embedder, which multiplies nothing. */
export async function encoderShape(loaded: LoadedConfig): Promise<EncoderShape | undefined> {
  const { model } = loaded.config.embeddings
  if (model === 'hashing') return undefined
  const { folder } = await findEncoder({ model: namedModel(model, loaded) })
  const shape = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as Record<string, number>
  return {
    layers: shape.num_hidden_layers as number,
    width: shape.hidden_size as number,
    feedForward: shape.intermediate_size as number,
  }
}
