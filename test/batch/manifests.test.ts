// The manifests of docs/batch.md, run as written with the variables that Slurm and Kubernetes set: together their tasks do
// every job of configs/batch.yaml once.
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadBatch } from '../../src/batch/config.ts'
import { jobsOf } from '../../src/batch/jobs.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const run = promisify(execFile)
let page: string
let path: string
let expected: string[]

beforeAll(async () => {
  page = await readFile(join(ROOT, 'docs/batch.md'), 'utf8')
  // A "pretext" that lists its jobs where the real one would do them.
  const folder = await mkdtemp(join(tmpdir(), 'manifests-'))
  const child = join(import.meta.dirname, 'cli-child.ts')
  await writeFile(
    join(folder, 'pretext'),
    `#!/bin/sh\nexec "${process.execPath}" --import tsx "${child}" "$@" --list --json\n`,
  )
  await chmod(join(folder, 'pretext'), 0o755)
  path = `${folder}:${process.env.PATH}`
  expected = jobsOf(await loadBatch(join(ROOT, 'configs/batch.yaml'))).map((job) => job.id)
})

const block = (language: string, holds: string): string =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))]
    .map((match) => match[1] as string)
    .find((text) => text.includes(holds)) as string

async function listed(command: readonly string[], env: Record<string, string>): Promise<string[]> {
  const [program, ...args] = command as [string, ...string[]]
  const { stdout } = await run(program, args, { cwd: ROOT, env: { ...process.env, PATH: path, ...env } })
  return (JSON.parse(stdout) as { jobs: { id: string }[] }).jobs.map((job) => job.id)
}

describe('the manifests of docs/batch.md', () => {
  it('Slurm', async () => {
    const script = block('bash', '#SBATCH')
    const [, first = '', last = ''] = /--array=(\d+)-(\d+)/.exec(script) ?? []
    const tasks = Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i)
    expect(tasks.length).toBeGreaterThan(1)
    const shares = await Promise.all(
      tasks.map((id) =>
        listed(['bash', '-c', script], {
          SLURM_ARRAY_TASK_ID: String(id),
          SLURM_ARRAY_TASK_COUNT: String(tasks.length),
          SLURM_ARRAY_TASK_MIN: first,
          SLURM_ARRAY_TASK_MAX: last,
        }),
      ),
    )
    expect(shares.flat().sort()).toEqual(expected)
  })

  it('Kubernetes', async () => {
    const { spec } = parse(block('yaml', 'completionMode'))
    const { command } = spec.template.spec.containers[0]
    const shares = await Promise.all(
      Array.from({ length: spec.completions }, (_, i) =>
        listed(command, { JOB_COMPLETION_INDEX: String(i) }),
      ),
    )
    expect(shares.length).toBeGreaterThan(1)
    expect(shares.every((share) => share.length > 0)).toBe(true)
    expect(shares.flat().sort()).toEqual(expected)
  })
})
