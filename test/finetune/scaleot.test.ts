// ScaleOT: the trainer's side (test_scaleot.py), and its two arms: the published one, which promises nothing about the texts,
// and the one that spends an epsilon on the adapters.
import { resolve } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { scaleot, scaleotDp } from '../../src/compare/arms/scaleot.ts'
import { checkSpent, epsilonSpent } from '../../src/compare/epsilon.ts'
import { ScaleotJob } from '../../src/finetune/scaleot-job.ts'
import { python } from '../trainer/python.ts'
import { type ArmGround, armGround } from './arm-ground.ts'
import { armTask } from './arm-task.ts'

// The start has two layers: one is the adapter, the other is replaced.
const SMALL = {
  adapters: { layers: 1 },
  emulators: [{ alpha: 1, beta: 0 }],
  search: { steps: 5, batch: 4, width: 4 },
}

let ground: ArmGround
beforeAll(async () => {
  ground = await armGround(12)
}, 900_000)

it('keeps its promises in the trainer', { timeout: 900_000 }, async () => {
  const inputs = { clients: 'c.jsonl', validation: 'v.jsonl', start: 'start', out: 'out', delta: 1e-5 }
  const job = ScaleotJob.parse({ kind: 'scaleot', publicTexts: 'public.jsonl', ...inputs })
  process.env.PRETEXT_TEST_JOB = JSON.stringify(job)
  const { code, stderr } = await python([resolve(import.meta.dirname, 'test_scaleot.py'), '-v'])
  expect(stderr).toMatch(/Ran \d\d tests/)
  expect(code, stderr.slice(-6000)).toBe(0)
})

describe('the arms', () => {
  it('as published: no guarantee, no mechanism, a table of four losses', async () => {
    expect(scaleot).toMatchObject({ guarantee: 'none', epsilons: 'once' })
    const { task, said } = await armTask(ground, Number.POSITIVE_INFINITY)
    const result = await scaleot.run(task, scaleot.settings.parse({ ...SMALL, rounds: 1 }))
    expect(result.mechanisms).toMatchObject([{ sigma: 0, clip: null }])
    expect(epsilonSpent(result.mechanisms, { delta: 1e-3, adjacency: 'add-remove' })).toBe(Infinity)
    const { emulators, zeroShot, fullTuning } = result.measures
    expect(emulators).toMatchObject([{ method: 'replace', alpha: 1, replaced: 1, zeroShot }])
    expect(fullTuning).toBeLessThan(zeroShot as number)
    expect(said.join('\n') + JSON.stringify(result)).not.toContain(ground.canary)
  })

  it.each(['add-remove', 'substitution'] as const)(
    'with DP: spends the epsilon that was asked (%s)',
    async (adjacency) => {
      const { task } = await armTask(ground, 3, adjacency)
      const result = await scaleotDp.run(task, scaleotDp.settings.parse({ ...SMALL, rounds: 2, rate: 0.3 }))
      expect(result.mechanisms).toMatchObject([
        { releases: 2, sampling: adjacency === 'add-remove' ? 'poisson' : 'fixed', contributions: 'signed' },
      ])
      checkSpent('scaleot-dp', 3, epsilonSpent(result.mechanisms, { delta: 1e-3, adjacency }))
    },
  )
})
