// The options that a batch gives to "train" and "evaluate", checked as those commands read them: a mistake in them is told
// before the first job spends privacy budget, and not when its training begins.
import yargs, { type CommandModule } from 'yargs'
import { BATCH_HINT, type BatchConfig } from '../batch/config.ts'
import { flagsOf } from '../batch/steps.ts'
import { yamlProblems } from '../config/yaml-file.ts'
import { PretextError } from '../errors.ts'
import { type CountArguments, checkCounts, evaluateCommand } from './commands/evaluate.ts'
import { type TrainArguments, trainCommand, trainSettings } from './commands/train.ts'

const COMMANDS = { train: trainCommand, evaluate: evaluateCommand } as const
type StepName = keyof typeof COMMANDS

/** What the batch says itself. */
const OWN = ['corpus', 'out', 'resume', 'json']

/** @throws PretextError `config` with all problems, each at file:line:column */
export async function checkStepOptions(batch: BatchConfig): Promise<void> {
  const problems: string[] = []
  for (const step of ['train', 'evaluate'] as const) {
    const flags = Object.entries(batch[step])
    const before = problems.length
    // Each alone first, so that what is wrong has the name of its key.
    for (const [name, value] of flags) {
      const problem = OWN.includes(name)
        ? 'expected another option, as the batch sets this one itself'
        : await problemOf(step, { [name]: value })
      if (problem !== undefined) problems.push(`${batch.place([step, name])}: ${step}.${name}: ${problem}`)
    }
    const together = problems.length > before ? undefined : await problemOf(step, batch[step])
    if (together !== undefined) problems.push(`${batch.place([step])}: ${step}: ${together}`)
  }
  if (problems.length > 0) throw yamlProblems(problems, 'batch', BATCH_HINT)
}

async function problemOf(step: StepName, flags: BatchConfig[StepName]): Promise<string | undefined> {
  try {
    const args = parsed(step, flagsOf(flags))
    if (step === 'evaluate') {
      checkCounts(args as CountArguments)
      return undefined
    }
    const { TrainJob } = await import('../finetune/train-job.ts')
    const { pretraining, training, scratch, settings } = trainSettings(args as TrainArguments)
    const texts = { texts: '', name: '' }
    const stages = [
      ...(pretraining === null ? [] : [{ ...pretraining, ...texts }]),
      { ...training, ...texts },
    ]
    const job = TrainJob.safeParse({ kind: 'train', out: '', stages, model: scratch, ...settings })
    return job.error?.issues[0]?.message
  } catch (error) {
    // Some faults yargs throws at once, past its own handler of faults.
    const known = error instanceof PretextError || (error instanceof Error && error.name === 'YError')
    if (known) return error.message
    throw error
  }
}

/** The arguments as the command gets them, without running it. */
function parsed(step: StepName, words: readonly string[]): unknown {
  let args: unknown
  yargs()
    .option('quiet', { type: 'boolean' })
    .option('debug', { type: 'boolean' })
    .command({
      ...COMMANDS[step],
      handler(given: unknown) {
        args = given
      },
    } as CommandModule)
    .help(false)
    .version(false)
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new PretextError(message.replace(/\s*\n\s*/g, ' '), { code: 'usage' })
    })
    .parse([step, 'corpus', ...words])
  return args
}
