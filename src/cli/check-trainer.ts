// What "pretext doctor" says of the Python that trains and evaluates: which one it is and what it has, or what will be made
// when it is first needed.
import { PretextError } from '../errors.ts'
import { checkPython, FEDERATED_NEEDS, findBasePython, NAME_ANOTHER } from '../finetune/base-python.ts'
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
  try {
    if (state === 'absent') return check('note', await whatWillBeMade(shown(folder ?? ''), env))
    if (state === 'damaged') {
      await findBasePython({ env })
      return check('note', `${shown(folder ?? '')} was left half made; it is made again on next use`)
    }
    // As a training does, before anything runs on it.
    if (state === 'given') await checkPython(python, 'PRETEXT_PYTHON', env)
  } catch (error) {
    if (error instanceof PretextError) return check('missing', `${whyOf(error)}; ${PURPOSE}`)
    throw error
  }
  try {
    const { runJob } = await import('../finetune/run-job.ts')
    const found = await runJob<'check'>({ kind: 'check' }, { python, env })
    const { torch, transformers, peft, accelerate, pfl } = found.packages
    const missing = Object.entries({ torch, transformers, peft, accelerate }).filter(
      ([, version]) => version == null,
    )
    if (missing.length > 0) {
      const remedy =
        folder === undefined
          ? 'install the packages of trainer/requirements.txt for it, or unset PRETEXT_PYTHON'
          : `remove ${shown(folder)}, and it is made again`
      const has = `${python} has no ${missing.map(([which]) => which).join(', ')}`
      return check('missing', `${has}: ${remedy}; ${PURPOSE}`)
    }
    const gpus = found.gpus === 0 ? 'no GPU' : `${found.gpus} x ${found.device}`
    const has = `Python ${found.python}, PyTorch ${torch}, ${gpus}; ${PURPOSE}`
    return pfl == null ? check('note', `${has}; ${withoutPfl(folder)}`) : check('ok', has)
  } catch (error) {
    const why = error instanceof PretextError ? whyOf(error) : 'an error'
    return check('missing', `${python} does not run the trainer: ${why}`)
  }
}

async function whatWillBeMade(folder: string, env: Environment): Promise<string> {
  const { ENVIRONMENT_TEXT } = await import('../finetune/environment.ts')
  const made = `made on first use in ${folder} (${ENVIRONMENT_TEXT}); ${PURPOSE}`
  const { takesAll, version } = await findBasePython({ env })
  return takesAll
    ? made
    : `${made}; there is Python ${version}, and ${FEDERATED_NEEDS}: install one of them before`
}

/** In one line, with what to do about it. */
function whyOf({ message, hint }: PretextError): string {
  return `${message.split('\n')[0]}${hint === undefined ? '' : `: ${hint}`}`
}

/** `folder` is the environment's where pretext made it. */
function withoutPfl(folder: string | undefined): string {
  const what =
    folder === undefined ? NAME_ANOTHER : `install one of them, remove ${folder}, and it is made again`
  return `it has no pfl, and ${FEDERATED_NEEDS}: ${what}`
}
