// The intervals of the trainer: both kinds must give the standard error that theory gives for a mean over clients of unequal
// size, and half-samples must not shift a statistic that depends on doubled rows.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { trainerPython } from '../../src/finetune/environment.ts'
import { TRAINER_FOLDER } from '../../src/finetune/run-job.ts'

const SCRIPT = `
import json
import numpy as np
from pretext_trainer.evaluate_intervals import bootstrap, half_samples
random = np.random.default_rng(4)
groups = np.repeat(np.arange(300), random.integers(1, 7, 300))
values = random.normal(size=300)[groups] + 0.5 * random.normal(size=len(groups))
sums, counts = np.bincount(groups, values), np.bincount(groups)
mean = values.mean()
# Of a ratio of sums over clients (Cochran, Sampling Techniques, 6.4).
theory = 1.96 * np.sqrt(((sums - mean * counts) ** 2).sum() * 300 / 299) / counts.sum()
drawn = bootstrap(groups, lambda w: float(w @ values / w.sum()), 2000, 0)
halves = half_samples(groups, lambda rows: float(values[rows].mean()), 2000, 0)
repeated = half_samples(groups, lambda rows: len(np.unique(rows)) / len(rows), 50, 0)
print(json.dumps({"mean": mean, "theory": theory, "drawn": drawn, "halves": halves, "repeated": repeated,
                  "one": half_samples([0, 0, 0], lambda rows: 2.0, 50, 0)}))
`

it('the bootstrap and the half-samples agree with theory (300 clients, 2,000 draws, seeded)', async () => {
  const { stdout } = await promisify(execFile)(await trainerPython(), ['-c', SCRIPT], {
    env: { ...process.env, PYTHONPATH: TRAINER_FOLDER, PYTHONDONTWRITEBYTECODE: '1' },
  })
  const { mean, theory, drawn, halves, repeated, one } = JSON.parse(stdout)
  for (const [value, low, high] of [drawn, halves]) {
    expect(value).toBeCloseTo(mean, 9)
    expect((high - low) / 2 / theory).toBeGreaterThan(0.93)
    expect((high - low) / 2 / theory).toBeLessThan(1.07)
  }
  expect(repeated).toEqual([1, 1, 1])
  // One client has no halves: no interval is claimed.
  expect(one).toEqual([2, 2, 2])
})
