// A task for an arm that the trainer runs, over the ground of arm-ground.ts: what a comparison would hand over.
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ArmTask } from '../../src/compare/arm.ts'
import { type ArmGround, runArmJob } from './arm-ground.ts'

const PUBLIC = resolve(import.meta.dirname, '../../data/public/texts.jsonl')

export interface TestTask {
  readonly task: ArmTask
  /** Every event of the trainer, as it came. */
  readonly said: string[]
}

export async function armTask(
  ground: ArmGround,
  epsilon: number,
  adjacency: 'add-remove' | 'substitution' = 'add-remove',
): Promise<TestTask> {
  const out = join(await mkdtemp(join(tmpdir(), 'arm-task-')), 'run')
  const said: string[] = []
  const task = {
    inputs: { ...ground.inputs, out, resume: false, delta: 1e-3, adjacency },
    epsilon,
    clients: ground.clients,
    configured: async () => ({
      file: 'base.yaml',
      path: (name: string) => name,
      config: { data: { public: { path: PUBLIC, text: 'text' }, minWords: 1 } },
    }),
    runJob: async (job: never) => runArmJob(job, (event) => said.push(JSON.stringify(event))),
    onEvent: () => {},
  }
  return { task: task as unknown as ArmTask, said }
}
