// Which jobs of a batch this process does: all of them, or the share that a Slurm array task or a Kubernetes indexed Job
// reads from its environment. Shares are disjoint and together complete, whatever their number.
import { PretextError } from '../errors.ts'

export interface Share {
  /** From 0. */
  readonly index: number
  readonly count: number
  readonly from: string
}

type Environment = Readonly<Record<string, string | undefined>>

/** `given` is --share: "2/8" is the second of eight. `declared` is the count in the batch file, for Kubernetes. */
export function shareOf(options: {
  readonly env: Environment
  readonly given?: string
  readonly declared?: number
}): Share {
  const { env, given, declared } = options
  if (given !== undefined) {
    const [, position = '', all = ''] = /^(\d+)\/(\d+)$/.exec(given) ?? []
    const index = Number(position) - 1
    const count = Number(all)
    if (position === '' || index < 0 || index >= count) {
      throw new PretextError(`expected --share I/N with I from 1 to N, got "${given}"`, { code: 'usage' })
    }
    return { index, count, from: `--share ${given}` }
  }
  if (env.SLURM_ARRAY_TASK_ID !== undefined) return slurmShare(env)
  if (env.JOB_COMPLETION_INDEX !== undefined) {
    const index = wholeNumber('JOB_COMPLETION_INDEX', env)
    if (declared === undefined) {
      throw new PretextError(
        'expected the number of completions of the indexed Job, got none: Kubernetes does not tell it',
        { code: 'config', hint: 'set "shares" in the batch file to the Job\'s spec.completions' },
      )
    }
    return checked(
      { index, count: declared, from: 'JOB_COMPLETION_INDEX' },
      'shares in the batch file',
      'make "shares" in the batch file equal to the Job\'s spec.completions',
    )
  }
  return { index: 0, count: 1, from: 'all jobs' }
}

function slurmShare(env: Environment): Share {
  const id = wholeNumber('SLURM_ARRAY_TASK_ID', env)
  const count = wholeNumber('SLURM_ARRAY_TASK_COUNT', env)
  const first = wholeNumber('SLURM_ARRAY_TASK_MIN', env)
  // --array=0-30:10 has the tasks 0, 10, 20, 30.
  const step = env.SLURM_ARRAY_TASK_STEP === undefined ? 1 : wholeNumber('SLURM_ARRAY_TASK_STEP', env)
  return checked(
    { index: (id - first) / Math.max(1, step), count, from: 'SLURM_ARRAY_TASK_ID' },
    'the array',
    'use an array without gaps, such as --array=0-7',
  )
}

/** An index outside would leave jobs to nobody, so a list of tasks with gaps (--array=1,5,7) is refused. */
function checked(share: Share, of: string, remedy: string): Share {
  const { index, count, from } = share
  if (Number.isInteger(index) && index >= 0 && index < count) return share
  throw new PretextError(`expected ${from} to be one of ${count} in a row (${of}), got one outside`, {
    code: 'config',
    hint: `${remedy}, or give the share yourself: --share I/N`,
  })
}

function wholeNumber(variable: string, env: Environment): number {
  const text = env[variable]
  if (text === undefined || !/^\d+$/.test(text)) {
    throw new PretextError(
      `expected a whole number in the environment variable ${variable}, got ${text === undefined ? 'none' : 'something else'}`,
      { code: 'config', hint: 'give the share yourself: --share I/N' },
    )
  }
  return Number(text)
}

/** Every count-th item from the index on: neighbours in the matrix go to different machines. */
export function takeShare<T>(items: readonly T[], { index, count }: Share): T[] {
  return items.filter((_, i) => i % count === index)
}
