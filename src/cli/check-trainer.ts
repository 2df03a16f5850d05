// What "pretext doctor" says of the Python that trains and evaluates: which one it is and what it has, or what will be made
// when it is first needed.
import { PretextError } from '../errors.ts'
import { FEDERATED_NEEDS, findBasePython, NAME_ANOTHER } from '../finetune/base-python.ts'
import type { Environment } from '../models/cache-folder.ts'
import { shown } from './output/output.ts'

export interface Check {
  readonly name: string
  readonly state: 'ok' | 'note' | 'missing'
  readonly detail: string
}

const PURPOSE = 'for train, finetune and evaluate'

export async function checkTrainer(env: Environment = process.env): Promise<Check> {
  const { trainerEnvironment } = await import('../finetune/environment.ts')
  const { state, python, folder } = await trainerEnvironment({ env })
  const check = (state: Check['state'], detail: string): Check => ({
    name: 'trainer (Python)',
    state,
    detail,
  })
  if (state === 'absent') return check('note', await whatWillBeMade(shown(folder ?? ''), env))
  if (state === 'damaged') {
    return check('note', `${shown(folder ?? '')} was left half made; it is made again on next use`)
  }
  try {
    const { runJob } = await import('../finetune/run-job.ts')
    const found = await runJob<'check'>({ kind: 'check' }, { python, env })
    const { torch, transformers, peft, accelerate, pfl } = found.packages
    const missing = Object.entries({ torch, transformers, peft, accelerate }).filter(
      ([, version]) => version == null,
    )
    if (missing.length > 0) {
      return check('missing', `${python} has no ${missing.map(([which]) => which).join(', ')}; ${PURPOSE}`)
    }
    const gpus = found.gpus === 0 ? 'no GPU' : `${found.gpus} x ${found.device}`
    const has = `Python ${found.python}, PyTorch ${torch}, ${gpus}; ${PURPOSE}`
    return pfl == null ? check('note', `${has}; ${withoutPfl(folder)}`) : check('ok', has)
  } catch (error) {
    const why = error instanceof PretextError ? error.message.split('\n')[0] : 'an error'
    return check('missing', `${python} does not run the trainer: ${why}`)
  }
}

async function whatWillBeMade(folder: string, env: Environment): Promise<string> {
  const { ENVIRONMENT_TEXT } = await import('../finetune/environment.ts')
  const made = `made on first use in ${folder} (${ENVIRONMENT_TEXT}); ${PURPOSE}`
  try {
    const { takesAll, version } = await findBasePython({ env })
    return takesAll
      ? made
      : `${made}; there is Python ${version}, and ${FEDERATED_NEEDS}: install one of them before`
  } catch (error) {
    if (error instanceof PretextError) return `${made}; ${error.message}`
    throw error
  }
}

/** `folder` is the environment's where pretext made it. */
function withoutPfl(folder: string | undefined): string {
  const what =
    folder === undefined ? NAME_ANOTHER : `install one of them, remove ${folder}, and it is made again`
  return `it has no pfl, and ${FEDERATED_NEEDS}: ${what}`
}
