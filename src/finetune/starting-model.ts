// How a user names the model that training starts from: a folder, a GGUF file, a model of the store (a GGUF too), or an id
// on the Hugging Face Hub, which the trainer fetches itself.
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { PretextError } from '../errors.ts'
import type { OnEvent } from '../events.ts'
import { findBuiltIn } from '../models/manifests.ts'
import { resolveUserModel } from '../models/user-models.ts'
import type { Job } from './protocol.ts'

type StartingModel = Exclude<Job<'train'>['model'], { from: 'scratch' }>

const HUB_ID = /^[\w.-]+\/[\w.-]+(@[\w.-]+)?$/

/** @throws PretextError `config` for what is no model, `dependency` where a model of the store cannot be fetched */
export async function startingModel(
  reference: string,
  options: { readonly onEvent: OnEvent; readonly signal?: AbortSignal | undefined },
): Promise<StartingModel> {
  const found = existsSync(reference) ? statSync(reference) : undefined
  if (found?.isDirectory() === true) {
    const path = resolve(reference)
    // The folder of a training is taken for the model in it.
    const inner = join(path, 'model')
    const folder = !existsSync(join(path, 'config.json')) && existsSync(inner) ? inner : path
    return { from: 'folder', model: folder }
  }
  if (found !== undefined) {
    if (reference.endsWith('.gguf')) return { from: 'gguf', model: resolve(reference) }
    throw new PretextError(`${reference}: expected a model folder or a GGUF file, got another file`, {
      code: 'config',
      hint: 'name the folder with config.json and weights',
    })
  }
  if (findBuiltIn(reference) !== undefined || reference.endsWith('.gguf')) {
    const model = await resolveUserModel(reference, {
      onEvent: options.onEvent,
      kind: 'llm',
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
    const gguf = model.files.find((file) => file.path.endsWith('.gguf'))
    if (gguf !== undefined) return { from: 'gguf', model: gguf.absolutePath }
    throw new PretextError(`${reference}: expected a language model, got a model of another kind`, {
      code: 'config',
      hint: '"pretext models" lists them with their kinds',
    })
  }
  const id = reference.replace(/^hub:/, '')
  if (HUB_ID.test(id) && !/^\.{1,2}\//.test(id)) {
    const [name = id, revision] = id.split('@')
    return { from: 'hub', model: name, ...(revision === undefined ? {} : { revision }) }
  }
  throw new PretextError(
    `${reference}: expected a model folder, a GGUF file, a name of "pretext models", or a Hub id (owner/name), found none`,
    { code: 'config', hint: 'correct the path, or name the model as owner/name' },
  )
}
