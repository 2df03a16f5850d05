// The one Python environment that all tests of the trainer share: made on first use (about four minutes and 1.5 GB on two
// busy cores), found by every test after that. PRETEXT_PYTHON names another.
import { execFile } from 'node:child_process'
import { trainerPython } from '../../src/finetune/environment.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'

export const testPython = (): Promise<string> => trainerPython()

export interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the interpreter with the trainer's package in reach. */
export async function python(args: readonly string[], options: { cwd?: string } = {}): Promise<Ended> {
  const program = await testPython()
  const env = {
    ...process.env,
    PYTHONPATH: TRAINER_FOLDER,
    PYTHONDONTWRITEBYTECODE: '1',
    TOKENIZERS_PARALLELISM: 'false',
    OMP_NUM_THREADS: '1',
  }
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      { env, maxBuffer: 1 << 24, ...options },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end()
  })
}
