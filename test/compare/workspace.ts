// A small comparison in a folder of its own, and the command line that runs it from the sources.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { testPython } from '../trainer/python.ts'

const ROOT = resolve(import.meta.dirname, '../..')

type Content = Record<string, unknown> & { arms: Record<string, unknown> }

export interface CompareWorkspace {
  readonly folder: string
  readonly file: string
  readonly out: string
}

/** configs/compare-small.yaml with its output elsewhere; `change` may edit it first, and write files to its folder. */
export async function smallComparison(
  change: (content: Content, folder: string) => void | Promise<void> = () => {},
): Promise<CompareWorkspace> {
  const folder = await mkdtemp(join(tmpdir(), 'comparison-'))
  const content = parse(await readFile(join(ROOT, 'configs/compare-small.yaml'), 'utf8')) as Content
  content.base = join(ROOT, 'configs/quickstart.yaml')
  const start = content.start as Record<string, unknown>
  start.public = join(ROOT, 'data/public/texts.jsonl')
  content.output = { folder: 'out' }
  await change(content, folder)
  const file = join(folder, 'compare.yaml')
  await writeFile(file, stringify(content))
  return { folder, file, out: join(folder, 'out') }
}

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs it; where `killAt` is given, the process and all that it started die when stderr says that. */
export async function pretext(args: readonly string[], killAt?: RegExp): Promise<Ran> {
  const python = await testPython()
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'test/batch/cli-child.ts'), ...args], {
    cwd: ROOT,
    detached: true,
    env: { ...process.env, NO_COLOR: '1', OMP_NUM_THREADS: '1', PRETEXT_PYTHON: python },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
    if (killAt?.test(stderr) === true) process.kill(-(child.pid as number), 'SIGKILL')
  })
  return new Promise((done) => {
    child.on('close', (code, signal) => done({ code, signal, stdout, stderr }))
  })
}
