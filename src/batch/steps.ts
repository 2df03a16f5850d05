// The steps of a job as command lines of pretext itself: each is a process of its own, so that one that fails or dies takes
// no other with it, and each goes on by the command's own --resume.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { readManifest } from '../run/folder.ts'
import type { BatchConfig, Step } from './config.ts'
import type { Job } from './jobs.ts'
import { jobFolder } from './state.ts'

/** The arguments of a step; undefined where a process finished it and died before it could say so. */
export async function stepArguments(
  batch: BatchConfig,
  job: Job,
  step: Step,
): Promise<readonly string[] | undefined> {
  const folder = jobFolder(batch.folder, job.id)
  const run = join(folder, 'run')
  const model = join(folder, 'model')
  switch (step) {
    case 'generate': {
      const manifest = await readManifest(run)
      if (manifest?.status === 'finished') return undefined
      const set = job.settings.flatMap((setting) => ['--set', setting])
      const resume = manifest === undefined ? [] : ['--resume']
      return ['generate', batch.basePath, ...set, '--out', run, ...resume, '--json']
    }
    case 'train': {
      const begun = await isThere(join(model, 'checkpoints'))
      if (!begun && (await isThere(join(model, 'training.json')))) return undefined
      const resume = begun ? ['--resume'] : []
      return ['train', run, '--out', model, ...flagsOf(batch.train), ...resume, '--json']
    }
    case 'evaluate': {
      const trained = batch.steps.includes('train') ? ['--model', model] : []
      const out = join(folder, 'evaluation')
      return ['evaluate', run, ...trained, '--out', out, ...flagsOf(batch.evaluate), '--json']
    }
  }
}

/** As words of a command line. */
export function flagsOf(flags: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(flags).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : value === false ? [`--no-${name}`] : [`--${name}`, String(value)],
  )
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
